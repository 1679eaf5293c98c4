/**
 * What capture carries into Kafka beside the events: the history of the tables, and definitions that a reader of the log misses
 * in their topic. Effect first, then progress: a crash in between publishes the same records again, under the same keys.
 */
import type { Config } from '../core/config.js';
import { canonicalDefinition, definitionHash, type Definition, type DefinitionHash } from '../core/definition.js';
import { ownTopic } from '../core/names.js';
import { describeChange } from '../core/schemaChange.js';
import type { Dial } from '../stores/kafka/client.js';
import type { PartitionRecords, Producer } from '../stores/kafka/producer.js';
import { ensureTopics, ownTopics } from '../stores/kafka/topics.js';
import type { Queries } from '../stores/mysql/connection.js';
import {
  forgetWanted,
  markPublished,
  readUnpublished,
  readWanted,
  type RecordedChange,
} from '../stores/mysql/schemaHistory.js';
import { readDefinitionsOf } from '../stores/mysql/state.js';

export interface SchemaSource {
  readonly config: Config;
  readonly queries: Queries;
  readonly dial: Dial;
}

const mostChanges = 50;

/** False when another producer has taken over. */
export async function publishSchema(source: SchemaSource, producer: Producer, now: number): Promise<boolean> {
  const { config, queries, dial } = source;
  const { stateDatabase } = config.mysql;
  const changes = await readUnpublished(queries, stateDatabase, mostChanges);
  const wanted = await readWanted(queries, stateDatabase);
  if (changes.length + wanted.length === 0) return true;
  const cited = [...wanted, ...changes.flatMap(({ after }) => after ?? [])];
  const definitions = await readDefinitionsOf(queries, stateDatabase, [...new Set(cited)]);
  // Whoever misses a definition may have lost the whole topic.
  if (wanted.length > 0) await ensureTopics(config.kafka, ownTopics(config.kafka), { dial });
  const partitions = [
    recordsOf(
      config,
      'definitions',
      wanted.flatMap((hash) => definitionRecord(definitions.get(hash))),
    ),
    recordsOf(
      config,
      'schema',
      changes.map((change) => changeRecord(config, change, definitions)),
    ),
  ].filter(({ records }) => records.length > 0);
  if (partitions.length > 0 && (await producer.publish(partitions, now)).kind === 'fenced') return false;
  await markPublished(
    queries,
    stateDatabase,
    changes.map(({ id }) => id),
  );
  await forgetWanted(queries, stateDatabase, wanted);
  return true;
}

type Records = PartitionRecords['records'];

function recordsOf({ kafka }: Config, topic: 'definitions' | 'schema', records: Records): PartitionRecords {
  return {
    topic: ownTopic(kafka.topicPrefix, topic),
    partition: 0,
    maxBatchBytes: kafka.maxMessageBytes,
    records,
  };
}

export function definitionRecord(definition: Definition | undefined): Records {
  if (definition === undefined) return [];
  const key = Buffer.from(definitionHash(definition));
  return [{ key, value: Buffer.from(canonicalDefinition(definition)), header: null }];
}

/** Key: the change's number, so that compaction keeps every one of them. */
function changeRecord(
  { mysql }: Config,
  change: RecordedChange,
  definitions: ReadonlyMap<DefinitionHash, Definition>,
): Records[number] {
  const { id, table, noticedAt, policy, consequence, changes, before, after } = change;
  const definition = after === null ? undefined : definitions.get(after);
  const value = {
    id,
    database: mysql.database,
    table,
    noticedAt: new Date(noticedAt).toISOString(),
    policy,
    consequence,
    changes: changes.map((one) => ({ ...one, text: describeChange(one) })),
    definitionBefore: before,
    definition: after,
    columns:
      definition?.columns.map(({ name, columnType, nullable }) => ({ name, type: columnType, nullable })) ?? null,
    key: definition?.key ?? null,
  };
  return { key: Buffer.from(String(id)), value: Buffer.from(JSON.stringify(value)), header: null };
}
