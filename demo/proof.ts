/** The comparison at the end: the product's own, row by row in both directions, and beside it plain counts of the servers. */
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import { createConnection } from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2/promise';
import type { Config } from '../core/config.js';
import { withForms } from '../core/forms.js';
import { targetOf } from '../core/target.js';
import type { Clients } from '../cli/clients.js';
import { compareTable, differenceCount } from '../stages/compare.js';
import { readTables } from '../stores/mysql/definitions.js';
import type { DemoReport } from './report.js';
import { warehouseTableNames } from './schema.js';

export interface Proof {
  readonly differences: number;
  readonly examples: readonly string[];
  readonly rows: number;
  readonly ms: number;
}

export async function compareAll(clients: Clients, onTable: (table: string) => void): Promise<Proof> {
  const { config, mysql } = clients;
  const started = performance.now();
  const examples: string[] = [];
  let differences = 0;
  let rows = 0;
  for (const facts of await readTables(mysql, config.mysql.database)) {
    const definition = withForms(facts.definition, config);
    onTable(definition.table);
    const compared = await compareTable(clients, definition, targetOf(definition.table, config));
    differences += differenceCount(compared);
    rows += compared.rows;
    const shown = compared.differences.slice(0, 5);
    examples.push(
      ...shown.map((d) => `${d.store} ${definition.table} ${d.key}: ${d.kind} ${d.fields.join(', ')}`.trimEnd()),
    );
  }
  return { differences, examples, rows, ms: performance.now() - started };
}

/** Rows, documents and keys, asked of the servers without any code of the product's. */
export async function countAll(config: Config): Promise<DemoReport['counted']> {
  const [mysql, mongo, redis] = await Promise.all([countMysql(config), countMongo(config), countRedis(config)]);
  return { mysql, mongo, redis };
}

async function countMysql({ mysql }: Config): Promise<number> {
  const connection = await createConnection({ uri: mysql.uri, database: mysql.database });
  try {
    let sum = 0;
    for (const table of warehouseTableNames) {
      const [rows] = await connection.query<RowDataPacket[]>(`SELECT COUNT(*) n FROM ${table}`);
      sum += Number(rows[0]?.['n']);
    }
    return sum;
  } finally {
    await connection.end();
  }
}

async function countMongo({ mongo }: Config): Promise<number> {
  if (mongo === null) return 0;
  const client = await MongoClient.connect(mongo.uri);
  try {
    const database = client.db(mongo.database);
    const collections = await database.listCollections({}, { nameOnly: true }).toArray();
    const counts = collections.map(async ({ name }) => await database.collection(name).countDocuments());
    return (await Promise.all(counts)).reduce((a, b) => a + b, 0);
  } finally {
    await client.close();
  }
}

async function countRedis({ redis }: Config): Promise<number> {
  if (redis === null) return 0;
  const client = new Redis(redis.uri);
  try {
    const keys = new Set<string>();
    let cursor = '0';
    do {
      const [next, found] = await client.scan(cursor, 'MATCH', `${redis.keyPrefix}:*`, 'COUNT', 10_000);
      for (const key of found) if (!key.startsWith(`${redis.keyPrefix}::`)) keys.add(key);
      cursor = next;
    } while (cursor !== '0');
    return keys.size;
  } finally {
    client.disconnect();
  }
}
