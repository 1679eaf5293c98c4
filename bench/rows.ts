/** Rows of about 300 bytes as row JSON, eleven columns, and the ways in which the bench writes them. */
import { createConnection } from 'mysql2/promise';
import type { Connection } from 'mysql2/promise';

const columns = 'id, customer, sku, status, amount, quantity, price, placed, note, flags, doc';

export async function createBenchTable(connection: Connection): Promise<void> {
  await connection.query(`CREATE TABLE bench (
    id BIGINT NOT NULL PRIMARY KEY, customer INT NOT NULL, sku VARCHAR(20) NOT NULL,
    status ENUM('placed','paid','shipped') NOT NULL, amount DECIMAL(12,2) NOT NULL, quantity INT NOT NULL, price DOUBLE NOT NULL,
    placed DATETIME(6) NOT NULL, note VARCHAR(160) NOT NULL, flags INT UNSIGNED NOT NULL, doc JSON NULL)`);
}

export function benchRow(id: number): (string | number)[] {
  return [
    id,
    (id * 7919) % 100_000,
    `SKU-${(id * 31) % 50_000}`,
    ['placed', 'paid', 'shipped'][id % 3] ?? 'paid',
    `${(id * 13) % 9999}.${10 + (id % 90)}`,
    id % 100,
    ((id * 17) % 10_007) / 7,
    `2024-05-${10 + (id % 18)} 12:${10 + (id % 50)}:00.${String(id % 1_000_000).padStart(6, '0')}`,
    `note of row ${id} `.padEnd(80, 'lorem ipsum dolor '),
    id % 4096,
    JSON.stringify({ colour: 'blue', size: [id % 10, id % 20] }),
  ];
}

/** Multi-row inserts of ids [from, from + count), over a few connections at once. */
export async function insertRows(
  uri: string,
  database: string,
  { from, count, rowsPerStatement = 1000, connections = 2 }: InsertOptions,
): Promise<void> {
  let next = from;
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const connection = await createConnection({ uri, database });
      try {
        while (next < from + count) {
          const first = next;
          const size = Math.min(rowsPerStatement, from + count - first);
          next += size;
          const rows = Array.from({ length: size }, (_, i) => benchRow(first + i));
          await connection.query(`INSERT INTO bench (${columns}) VALUES ?`, [rows]);
        }
      } finally {
        await connection.end();
      }
    }),
  );
}

export interface InsertOptions {
  readonly from: number;
  readonly count: number;
  readonly rowsPerStatement?: number;
  readonly connections?: number;
}

export const insertOne = `INSERT INTO bench (${columns}) VALUES (${columns.replaceAll(/\w+/g, '?')})`;
