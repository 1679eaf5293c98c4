/** Fills the warehouse: multi-row inserts of about half a megabyte, a few connections at once. */
import { createConnection } from 'mysql2/promise';
import { demoSizes, generateRows } from './generate.js';
import type { Row, Sizes } from './generate.js';
import { seededRandom } from './random.js';
import { warehouseTableNames, warehouseTables } from './schema.js';
import type { WarehouseTable } from './schema.js';

/** The same rows every time. */
export const demoSeed = 20_240_229;

export interface LoadOptions {
  readonly uri: string;
  readonly database: string;
  readonly sizes?: Sizes;
  readonly seed?: number;
  readonly onRows?: (total: number) => void;
}

/** Creates the tables and fills them; the number of rows a table. */
export async function loadWarehouse(options: LoadOptions): Promise<ReadonlyMap<WarehouseTable, number>> {
  const rowsPerStatement = 2000;
  const { uri, database } = options;
  const connections = await Promise.all(
    Array.from({ length: 3 }, async () => await createConnection({ uri, database, charset: 'utf8mb4', timezone: 'Z' })),
  );
  const counts = new Map<WarehouseTable, number>();
  try {
    const [one] = connections;
    if (one === undefined) throw new TypeError('no connection');
    for (const name of warehouseTableNames) await one.query(warehouseTables[name]);
    await Promise.all(connections.map(async (c) => await c.query("SET time_zone = '+00:00'")));
    const statements = batches(
      generateRows(options.sizes ?? demoSizes, seededRandom(options.seed ?? demoSeed)),
      rowsPerStatement,
    );
    let total = 0;
    // The generator is shared: each connection takes the next batch when it is free.
    await Promise.all(
      connections.map(async (connection) => {
        for (const [table, rows] of statements) {
          await connection.query(`INSERT INTO ${table} VALUES ?`, [rows]);
          counts.set(table, (counts.get(table) ?? 0) + rows.length);
          total += rows.length;
          options.onRows?.(total);
        }
      }),
    );
    await one.query(`ANALYZE TABLE ${warehouseTableNames.join(', ')}`);
  } finally {
    await Promise.all(connections.map(async (c) => await c.end()));
  }
  return counts;
}

function* batches(
  rows: Iterable<readonly [WarehouseTable, Row]>,
  size: number,
): Generator<readonly [WarehouseTable, Row[]]> {
  const waiting = new Map<WarehouseTable, Row[]>();
  for (const [table, row] of rows) {
    const batch = waiting.get(table) ?? [];
    waiting.set(table, batch);
    batch.push(row);
    if (batch.length < size) continue;
    waiting.delete(table);
    yield [table, batch];
  }
  yield* waiting;
}
