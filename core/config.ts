/** The configuration after validation: every default filled in, every secret resolved. Never logged, never in a history. */
import type { FormSettings } from './forms.js';
import type { SchemaPolicy } from './schemaPolicy.js';
import type { ValidateConfig } from './configValidate.js';
import type { StoreName } from './store.js';

export interface TlsOptions {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

export interface SaslOptions {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  readonly username: string;
  readonly password: string;
}

export interface MysqlConfig {
  /** Without the database, which stands beside it. */
  readonly uri: string;
  readonly database: string;
  /** lockstep's own database; a second pipeline on one server needs a name of its own. */
  readonly stateDatabase: string;
  readonly tls: TlsOptions | null;
}

export interface KafkaConfig {
  readonly brokers: readonly string[];
  readonly topicPrefix: string;
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly minInsyncReplicas: number;
  readonly retentionMs: number;
  readonly maxMessageBytes: number;
  /** Whether keys and values stand alone, or as `{schema, payload}` with a schema as Kafka Connect's JsonConverter reads it. */
  readonly envelope: 'plain' | 'schema';
  readonly tls: TlsOptions | null;
  readonly sasl: SaslOptions | null;
}

export interface MongoConfig {
  readonly uri: string;
  readonly database: string;
  /** Database of the positions; `lockstep`. */
  readonly stateDatabase: string;
  readonly tls: TlsOptions | null;
}

export interface RedisConfig {
  readonly uri: string;
  readonly keyPrefix: string;
  readonly tls: TlsOptions | null;
}

export interface TemporalConfig {
  readonly address: string;
  readonly namespace: string;
  readonly tls: TlsOptions | null;
  readonly apiKey: string | null;
}

export interface TableOverride {
  readonly redis?: { readonly layout?: 'json' | 'hash'; readonly ttlMs?: number | null };
  readonly mongo?: { readonly collection?: string };
  readonly schema?: Partial<SchemaConfig>;
  /** For the table's columns, and for single ones by name. */
  readonly forms?: FormSettings;
  readonly columns?: Readonly<Record<string, FormSettings>>;
}

/** How the stores keep up with the tables' definitions. */
export interface SchemaConfig {
  readonly policy: SchemaPolicy;
  /** What MongoDB does with a document of another writer that does not fit: apply itself is never held up. */
  readonly validators: 'error' | 'warn' | 'off';
  /** `mirror`: MongoDB gets MySQL's secondary indexes, unique ones as plain ones. */
  readonly indexes: 'mirror' | 'off';
}

export interface Config {
  readonly pipeline: string;
  readonly mysql: MysqlConfig;
  readonly kafka: KafkaConfig;
  readonly mongo: MongoConfig | null;
  readonly redis: RedisConfig | null;
  readonly temporal: TemporalConfig;
  readonly tables: { readonly include: readonly string[]; readonly exclude: readonly string[] };
  readonly overrides: Readonly<Record<string, TableOverride>>;
  /** Absent: `evolve`, validators that refuse, no indexes. */
  readonly schema?: SchemaConfig;
  /** For every table; what is absent is in its type's own form. */
  readonly forms?: FormSettings;
  /** Whether the binary log is read and held against the triggers. Absent: it is. */
  readonly witness?: boolean;
  readonly changeLog: { readonly maxBytes: number };
  readonly capture: { readonly batchRows: number };
  readonly apply: { readonly shards: number };
  /** sample: share of the changes that are verified, 0 … 1. repair: what is found wrong is logged again. */
  readonly verify: { readonly sample: number; readonly repair: boolean };
  readonly snapshot: { readonly chunkMs: number; readonly maxBacklogRows: number; readonly parallel: number };
  readonly validate: ValidateConfig;
  /** automatic: copies that a loss or a gap makes due begin by themselves; otherwise when they are asked for. */
  readonly resync: { readonly automatic: boolean };
}

export function configuredStores(config: Config): readonly StoreName[] {
  const stores: StoreName[] = [];
  if (config.mongo !== null) stores.push('mongo');
  if (config.redis !== null) stores.push('redis');
  return stores;
}
