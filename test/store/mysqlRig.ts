/** A source database, a state database and a configuration of their own for one test file on the shared server. */
import { randomBytes } from 'node:crypto';
import { afterAll, inject } from 'vitest';
import type { Config } from '../../core/config.js';
import { validateDefaults } from '../../core/configValidate.js';
import { openMysql, type Mysql } from '../../stores/mysql/connection.js';
import { asBytesOrNull, asText, asTextOrNull } from '../../stores/mysql/cell.js';
import { quoteName } from '../../stores/mysql/quote.js';
import { install } from '../../stages/install.js';
import { StateDatabases } from '../support/stateDatabases.js';

export interface Rig {
  readonly config: Config;
  /** As the administrator, in no database; lockstep's own session settings. */
  readonly mysql: Mysql;
  readonly source: string;
  readonly state: string;
  /** Runs statements in which `{src}` stands for the source database. */
  run(...statements: readonly string[]): Promise<void>;
  install(): Promise<void>;
  log(): Promise<readonly Logged[]>;
  clearLog(): Promise<void>;
  drop(): Promise<void>;
}

export interface Logged {
  readonly table: string;
  readonly op: string;
  readonly key: string | null;
  readonly before: string | null;
  readonly after: string | null;
}

const states = new StateDatabases();

afterAll(async () => {
  const mysql = openMysql(testConfig(inject('stack').mysql.uri, 'none', 'none', {}).mysql, { connections: 1 });
  await states.drop((statement) => mysql.run(statement));
  await mysql.close();
});

/** `ownState`: the state database is looked at itself, so it is no other test's before or after. */
export async function createRig(
  changes: Partial<Config> = {},
  { ownState = false }: { readonly ownState?: boolean } = {},
): Promise<Rig> {
  const suffix = randomBytes(4).toString('hex');
  const source = `p3_src_${suffix}`;
  const state = (ownState ? undefined : states.take()) ?? `p3_state_${suffix}`;
  const config = testConfig(inject('stack').mysql.uri, source, state, changes);
  const mysql = openMysql(config.mysql);
  await mysql.run(`CREATE DATABASE ${source}`);
  const rig: Rig = {
    config,
    mysql,
    source,
    state,
    async run(...statements) {
      for (const statement of statements) await mysql.run(statement.replaceAll('{src}', quoteName(source)));
    },
    async install() {
      await install({ config, mysql });
    },
    async log() {
      const rows = await mysql.rows(
        `SELECT t.name, l.op, l.\`key\`, l.\`before\`, l.\`after\` FROM ${state}.change_log l
           JOIN ${state}.tables t ON t.id = l.table_id ORDER BY l.seq`,
      );
      return rows.map((row) => ({
        table: asText(row[0]),
        op: asText(row[1]),
        key: asTextOrNull(row[2] ?? null),
        before: asTextOrNull(row[3] ?? null),
        after: asBytesOrNull(row[4] ?? null)?.toString() ?? null,
      }));
    },
    async clearLog() {
      await mysql.run(`DELETE FROM ${state}.change_log`);
    },
    async drop() {
      await mysql.run(`DROP DATABASE IF EXISTS ${source}`);
      if (ownState) await mysql.run(`DROP DATABASE IF EXISTS ${state}`);
      else await states.giveBack(mysql, state);
      await mysql.close();
    },
  };
  return rig;
}

export function testConfig(uri: string, source: string, state: string, changes: Partial<Config> = {}): Config {
  return {
    pipeline: 'p3',
    mysql: { uri, database: source, stateDatabase: state, tls: null },
    kafka: {
      brokers: [],
      topicPrefix: 'p3',
      partitions: 1,
      replicationFactor: 1,
      minInsyncReplicas: 1,
      retentionMs: 1,
      maxMessageBytes: 1,
      envelope: 'plain',
      tls: null,
      sasl: null,
    },
    mongo: null,
    redis: null,
    temporal: { address: '', namespace: '', tls: null, apiKey: null },
    tables: { include: ['*'], exclude: [] },
    overrides: {},
    changeLog: { maxBytes: 10 * 1024 ** 3 },
    capture: { batchRows: 1 },
    apply: { shards: 1 },
    snapshot: { chunkMs: 50, maxBacklogRows: 1_000_000_000, parallel: 1 },
    validate: validateDefaults,
    resync: { automatic: true },
    verify: { sample: 1, repair: true },
    ...changes,
  };
}

/** Asks until the answer is there; fails with what it was last. */
export async function eventually<T>(ask: () => Promise<T | undefined>, timeoutMs = 20_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`nothing within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
