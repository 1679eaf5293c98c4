/** Everything about the Kafka side that would stop a pipeline, found before anything is created. */
import type { Config } from '../../core/config.js';
import { ownTopic, tableTopic } from '../../core/names.js';
import { problem, problemOf, type Problem } from '../../core/problem.js';
import { decodeState, stateKey } from '../../core/stateRecord.js';
import { Brokers } from './brokers.js';
import { createClient, kafkaError } from './client.js';
import { transactionalId, untilPossible } from './producer.js';
import { openReader } from './reader.js';
import { dataTopic, ensureTopics, ownTopics, proveCreation } from './topics.js';

export async function checkKafka(config: Config): Promise<readonly Problem[]> {
  const { kafka, mysql } = config;
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
    const taken = own.length === 0 ? [] : await ownerProblems(config);
    const replication = replicationProblems(kafka.replicationFactor, brokers.length);
    if (replication.length === 0) await proveRights(config);
    return [...taken, ...replication];
  } catch (error) {
    return [problemOf(kafkaError(error, `use Kafka at ${where}`))];
  } finally {
    await admin.disconnect();
  }
}

/** What capture will ask for first, asked without doing it: its transactional id, and a topic. */
async function proveRights({ kafka, pipeline }: Config): Promise<void> {
  const brokers = new Brokers(kafka, 'lockstep-check');
  try {
    // A new cluster makes the coordinator's own topic first.
    await untilPossible('use the transactional id', () => brokers.coordinator(transactionalId(pipeline)));
  } finally {
    brokers.close();
  }
  await proveCreation(kafka, ownTopics(kafka));
}

/** The state record names the pipeline and the source that the topics belong to. */
async function ownerProblems({ kafka, mysql, pipeline }: Config): Promise<readonly Problem[]> {
  const reader = openReader(kafka, { clientId: 'lockstep-check' });
  try {
    const record = await reader.lastCommitted(ownTopic(kafka.topicPrefix, 'state'), stateKey);
    if (record === null || record.value === null) return [];
    const owner = decodeState(record.value);
    if (owner.pipeline === pipeline && owner.database === mysql.database) return [];
    const text = `the topics ${kafka.topicPrefix}.… belong to pipeline ${owner.pipeline} of database ${owner.database}`;
    return [problem('LS-KAFKA-PREFIX-TAKEN', text)];
  } finally {
    await reader.close();
  }
}

export function replicationProblems(replicationFactor: number, brokers: number): readonly Problem[] {
  if (replicationFactor <= brokers) return [];
  const text = `kafka.replicationFactor is ${replicationFactor}, and the cluster has ${brokers} brokers`;
  return [problem('LS-KAFKA-TOPIC-CREATE', text, `Set kafka.replicationFactor to at most ${brokers}, or add brokers.`)];
}
