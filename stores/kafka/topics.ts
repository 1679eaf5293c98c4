/**
 * The pipeline's topics: made on purpose, with stated settings, never by accident of a first write. What already exists
 * is compared, not changed: a partition count or a cleanup policy that differs would lose order or events.
 */
import type { Admin } from 'kafkajs';
import type { KafkaConfig } from '../../core/config.js';
import { LockstepError } from '../../core/errors.js';
import { ownTopic } from '../../core/names.js';
import { createClient, kafkaError, requestTimeoutMs, type Dial } from './client.js';

export interface TopicSpec {
  readonly topic: string;
  /** data: every event, kept for the retention. state: the last record of each key, kept for good. */
  readonly kind: 'data' | 'state';
  readonly partitions: number;
}

export interface TopicFacts {
  readonly partitions: number;
  /** The largest record batch that the topic takes; may be lower than configured where someone set it so. */
  readonly maxMessageBytes: number;
  /** Whether this call made it. */
  readonly created: boolean;
}

export function dataTopic(config: KafkaConfig, topic: string): TopicSpec {
  return { topic, kind: 'data', partitions: config.partitions };
}

export function ownTopics(config: KafkaConfig): readonly TopicSpec[] {
  return [
    { topic: ownTopic(config.topicPrefix, 'state'), kind: 'state', partitions: 1 },
    { topic: ownTopic(config.topicPrefix, 'definitions'), kind: 'state', partitions: 1 },
    // Each change has a key of its own, so compaction keeps them all, and one that is published again replaces itself.
    { topic: ownTopic(config.topicPrefix, 'schema'), kind: 'state', partitions: 1 },
  ];
}

/** Creates what is missing and compares what is there. */
export async function ensureTopics(
  config: KafkaConfig,
  specs: readonly TopicSpec[],
  options: { readonly dial?: Dial } = {},
): Promise<Map<string, TopicFacts>> {
  const admin = createClient(config, 'lockstep-topics', options.dial).admin();
  try {
    await admin.connect();
    const existing = new Set(await admin.listTopics());
    const missing = specs.filter(({ topic }) => !existing.has(topic));
    for (let i = 0; i < missing.length; i += createdAtOnce) {
      await create(admin, config, missing.slice(i, i + createdAtOnce));
    }
    const created = new Set(missing.map(({ topic }) => topic));
    const facts = new Map<string, TopicFacts>();
    for (const [topic, found] of await describe(admin, specs)) {
      facts.set(topic, { ...found, created: created.has(topic) });
    }
    return facts;
  } catch (error) {
    throw kafkaError(error, 'prepare the topics');
  } finally {
    await admin.disconnect();
  }
}

/** Whether the broker would create these, where they do not exist; nothing is created. */
export async function proveCreation(config: KafkaConfig, specs: readonly TopicSpec[]): Promise<void> {
  const admin = createClient(config, 'lockstep-topics').admin();
  try {
    await admin.connect();
    const existing = new Set(await admin.listTopics());
    await create(
      admin,
      config,
      specs.filter(({ topic }) => !existing.has(topic)),
      true,
    );
  } finally {
    await admin.disconnect();
  }
}

/** A broker makes some dozens of partitions a second; a request for more would run into its timeout. */
const createdAtOnce = 20;

async function create(
  admin: Admin,
  config: KafkaConfig,
  specs: readonly TopicSpec[],
  validateOnly = false,
): Promise<void> {
  if (specs.length === 0) return;
  try {
    await admin.createTopics({
      validateOnly,
      waitForLeaders: !validateOnly,
      timeout: requestTimeoutMs,
      topics: specs.map((spec) => ({
        topic: spec.topic,
        numPartitions: spec.partitions,
        replicationFactor: config.replicationFactor,
        configEntries: Object.entries(topicSettings(config, spec.kind)).map(([name, value]) => ({ name, value })),
      })),
    });
  } catch (error) {
    const causes = error instanceof Error && 'errors' in error && Array.isArray(error.errors) ? error.errors : [error];
    const texts = causes.map((cause: unknown) => {
      const topic = typeof cause === 'object' && cause !== null && 'topic' in cause ? `${String(cause.topic)}: ` : '';
      return `${topic}${cause instanceof Error ? cause.message : String(cause)}`;
    });
    const { code } = kafkaError(causes[0], 'create topics');
    throw new LockstepError(code === 'LS-KAFKA-REQUEST' ? 'LS-KAFKA-TOPIC-CREATE' : code, texts.join('; '), {
      cause: error,
    });
  }
}

/** Small segments let compaction reach the records that a newer one replaced. */
export function topicSettings(config: KafkaConfig, kind: TopicSpec['kind']): Record<string, string> {
  const common = {
    'min.insync.replicas': String(config.minInsyncReplicas),
    'max.message.bytes': String(config.maxMessageBytes),
    'compression.type': 'producer',
    'message.timestamp.type': 'CreateTime',
  };
  return kind === 'data'
    ? { ...common, 'cleanup.policy': 'delete', 'retention.ms': String(config.retentionMs), 'retention.bytes': '-1' }
    : {
        ...common,
        'cleanup.policy': 'compact',
        'segment.bytes': String(16 * 1024 * 1024),
        'segment.ms': String(10 * 60_000),
        'min.cleanable.dirty.ratio': '0.1',
      };
}

/** kafkajs exports its enum of these in a way that Node's loader of CommonJS modules cannot see. */
const topicResource = 2;
const compared = ['cleanup.policy', 'compression.type', 'max.message.bytes'];

async function describe(
  admin: Admin,
  specs: readonly TopicSpec[],
): Promise<Map<string, { partitions: number; maxMessageBytes: number }>> {
  if (specs.length === 0) return new Map();
  const { topics } = await admin.fetchTopicMetadata({ topics: specs.map(({ topic }) => topic) });
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: specs.map(({ topic }) => ({ type: topicResource, name: topic, configNames: compared })),
  });
  const facts = new Map<string, { partitions: number; maxMessageBytes: number }>();
  const wrong: string[] = [];
  for (const spec of specs) {
    const partitions = topics.find(({ name }) => name === spec.topic)?.partitions.length ?? 0;
    const entries = resources.find(({ resourceName }) => resourceName === spec.topic)?.configEntries ?? [];
    const settings = new Map(entries.map(({ configName, configValue }) => [configName, configValue]));
    wrong.push(...differences(spec, partitions, settings));
    facts.set(spec.topic, { partitions, maxMessageBytes: Number(settings.get('max.message.bytes') ?? 1_048_588) });
  }
  if (wrong.length > 0) throw new LockstepError('LS-KAFKA-TOPIC-SETTINGS', wrong.join('; '));
  return facts;
}

/** What of an existing topic would break a promise, one sentence each. Settings the broker does not tell are taken as right. */
export function differences(spec: TopicSpec, partitions: number, settings: ReadonlyMap<string, string>): string[] {
  const found: string[] = [];
  if (partitions !== spec.partitions) {
    found.push(
      spec.kind === 'data'
        ? `topic ${spec.topic} has ${partitions} partitions, not ${spec.partitions}: set kafka.partitions to ${partitions}, or delete the topic`
        : `topic ${spec.topic} has ${partitions} partitions instead of one: delete the topic`,
    );
  }
  const policy = settings.get('cleanup.policy');
  const wanted = spec.kind === 'data' ? 'delete' : 'compact';
  if (policy !== undefined && policy !== wanted) {
    found.push(`topic ${spec.topic} has cleanup.policy=${policy}: set it to ${wanted}`);
  }
  const compression = settings.get('compression.type');
  if (compression !== undefined && compression !== 'producer' && compression !== 'uncompressed') {
    found.push(`topic ${spec.topic} has compression.type=${compression}: set it to producer`);
  }
  return found;
}
