/** Kafka settings of a test's own on the shared broker. */
import { randomBytes } from 'node:crypto';
import type { KafkaConfig } from '../../core/config.js';

export function kafkaConfig(brokers: readonly string[], label: string): KafkaConfig {
  return {
    brokers: [...brokers],
    topicPrefix: `${label}-${randomBytes(4).toString('hex')}`,
    partitions: 2,
    replicationFactor: 1,
    minInsyncReplicas: 1,
    retentionMs: 86_400_000,
    maxMessageBytes: 1_048_576,
    envelope: 'plain',
    tls: null,
    sasl: null,
  };
}
