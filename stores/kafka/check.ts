/** Everything about the Kafka side that would stop a pipeline, found before anything is created. */
import type { Config } from '../../core/config.js';
import { tableTopic } from '../../core/names.js';
import { problem, problemOf, type Problem } from '../../core/problem.js';
import { createClient, kafkaError } from './client.js';
import { dataTopic, ensureTopics, ownTopics } from './topics.js';

export async function checkKafka({ kafka, mysql }: Pick<Config, 'kafka' | 'mysql'>): Promise<readonly Problem[]> {
  const where = kafka.brokers.join(', ');
  const admin = createClient(kafka, 'lockstep-check').admin();
  try {
    await admin.connect();
    const { brokers } = await admin.describeCluster();
    const existing = await admin.listTopics();
    const dataPrefix = tableTopic(kafka.topicPrefix, mysql.database, '');
    const data = existing.filter((topic) => topic.startsWith(dataPrefix)).map((topic) => dataTopic(kafka, topic));
    const own = ownTopics(kafka).filter(({ topic }) => existing.includes(topic));
    // All of them exist: nothing is created, only compared.
    await ensureTopics(kafka, [...own, ...data]);
    return replicationProblems(kafka.replicationFactor, brokers.length);
  } catch (error) {
    return [problemOf(kafkaError(error, `use Kafka at ${where}`))];
  } finally {
    await admin.disconnect();
  }
}

export function replicationProblems(replicationFactor: number, brokers: number): readonly Problem[] {
  if (replicationFactor <= brokers) return [];
  const text = `kafka.replicationFactor is ${replicationFactor}, and the cluster has ${brokers} brokers`;
  return [problem('LS-KAFKA-TOPIC-CREATE', text, `Set kafka.replicationFactor to at most ${brokers}, or add brokers.`)];
}
