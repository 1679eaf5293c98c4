/** The demo's database, its two users, and the lockstep.yaml of its pipeline. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { stringify } from 'yaml';
import type { Stack } from '../temporal-compose/stack.js';

export const database = 'warehouse';

export interface Setup {
  readonly configFile: string;
  /** The shop's own user: reads and writes rows, knows nothing of lockstep. */
  readonly applicationUri: string;
}

/** What README asks of an administrator, and nothing more. */
const lockstepGrants = [
  `GRANT SELECT, TRIGGER ON ${database}.* TO lockstep@'%'`,
  "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX ON lockstep.* TO lockstep@'%'",
  "GRANT PROCESS, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO lockstep@'%'",
];

export function configFileIn(folder: string): string {
  return join(folder, 'lockstep.yaml');
}

/** On servers that hold nothing yet. */
export async function prepare(stack: Stack, folder: string): Promise<Setup> {
  const password = randomBytes(18).toString('base64url');
  const shopPassword = randomBytes(18).toString('base64url');
  const root = await createConnection({ uri: stack.mysql.uri });
  try {
    await root.query(`CREATE DATABASE ${database}`);
    await root.query("CREATE USER lockstep@'%' IDENTIFIED BY ?", [password]);
    for (const grant of lockstepGrants) await root.query(grant);
    await root.query("CREATE USER shop@'%' IDENTIFIED BY ?", [shopPassword]);
    await root.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${database}.* TO shop@'%'`);
  } finally {
    await root.end();
  }
  const configFile = configFileIn(folder);
  const text = stringify({
    pipeline: database,
    mysql: { uri: withUser(stack.mysql.uri, 'lockstep', password) },
    kafka: { brokers: stack.kafka.brokers, topicPrefix: database },
    mongo: { uri: stack.mongo.uri, database },
    redis: { uri: stack.redis.uri, keyPrefix: database },
    temporal: { address: stack.temporal.address, namespace: stack.temporal.namespace },
    overrides: { products: { redis: { layout: 'hash' } } },
  });
  await writeFile(configFile, text, { mode: 0o600 });
  return { configFile, applicationUri: withUser(stack.mysql.uri, 'shop', shopPassword) };
}

function withUser(uri: string, user: string, password: string): string {
  const url = new URL(uri);
  url.username = user;
  url.password = password;
  url.pathname = `/${database}`;
  return url.href;
}
