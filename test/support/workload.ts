/**
 * A randomized application: connections that insert, update, delete, change keys, replace, collide and roll back on the
 * same few rows. Its sessions differ in time zone and sql_mode, as those of real applications do.
 */
import { createConnection } from 'mysql2/promise';
import type { Connection, ResultSetHeader } from 'mysql2/promise';
import { seededRandom } from './random.js';
import type { Random } from './random.js';
import { workloadTables } from './workloadTables.js';
import type { WorkloadTable } from './workloadTables.js';

export interface WorkloadOptions {
  readonly uri: string;
  readonly database: string;
  readonly seed: number;
  readonly connections?: number;
  /** Ends by itself after this many transactions over all connections; or at the signal. */
  readonly transactions?: number;
  /** Pause between a connection's transactions; 0 runs flat out. */
  readonly pauseMs?: number;
  readonly signal?: AbortSignal;
}

export interface WorkloadReport {
  readonly seed: number;
  committed: number;
  rolledBack: number;
  statements: number;
  /** MySQL error numbers and how often: 1213 and 1062 are the application's own, anything else is suspicious. */
  readonly errors: Record<number, number>;
  /** The longest a single statement took. */
  slowestMs: number;
}

/** Errors that this workload provokes itself: deadlock among its connections, duplicate key, lock wait. */
export const ownErrors: readonly number[] = [1213, 1062, 1205];

const sessions = [
  "time_zone = '+00:00'",
  "time_zone = '+02:00', sql_mode = 'ANSI'",
  "time_zone = '-03:30', sql_mode = 'NO_BACKSLASH_ESCAPES'",
  "time_zone = '+05:45', sql_mode = 'PAD_CHAR_TO_FULL_LENGTH'",
  "sql_mode = 'STRICT_ALL_TABLES'",
  "sql_mode = ''",
];

export async function createWorkloadTables(connection: Connection): Promise<void> {
  for (const table of workloadTables) await connection.query(table.ddl);
}

/** Rows to begin with, so that a first copy has something to copy. */
export async function fillWorkloadTables(connection: Connection, seed: number, rows: number): Promise<void> {
  const random = seededRandom(seed);
  for (const table of workloadTables) {
    for (let from = 0; from < rows; from += 200) {
      const count = Math.min(200, rows - from);
      await connection.query(...insertStatement('INSERT IGNORE', table, random, count));
    }
  }
}

export async function runWorkload(options: WorkloadOptions): Promise<WorkloadReport> {
  const report: WorkloadReport = {
    seed: options.seed,
    committed: 0,
    rolledBack: 0,
    statements: 0,
    errors: {},
    slowestMs: 0,
  };
  const connections = options.connections ?? 8;
  let left = options.transactions ?? Number.POSITIVE_INFINITY;
  const more = (): boolean => options.signal?.aborted !== true && left-- > 0;
  await Promise.all(
    Array.from({ length: connections }, async (_, index) => {
      const connection = await createConnection({
        uri: options.uri,
        database: options.database,
        charset: 'utf8mb4',
        maxPreparedStatements: 200,
      });
      try {
        await connection.query(`SET ${sessions[index % sessions.length]}`);
        const random = seededRandom(options.seed + index * 7919);
        while (more()) {
          await runTransaction(connection, random, report);
          if (options.pauseMs !== undefined && options.pauseMs > 0) await pause(options.pauseMs);
        }
      } finally {
        await connection.end();
      }
    }),
  );
  return report;
}

type Statement = [sql: string, values: unknown[]];

async function runTransaction(connection: Connection, random: Random, report: WorkloadReport): Promise<void> {
  const statements = Array.from({ length: random.chance(0.5) ? 1 : 1 + random.below(8) }, () =>
    randomStatement(random),
  );
  const rollback = random.chance(0.1);
  const stayOpen = random.chance(0.03) ? 20 + random.below(180) : 0;
  try {
    await connection.beginTransaction();
    for (const statement of statements) await run(connection, statement, report);
    if (stayOpen > 0) await pause(stayOpen);
    if (rollback) await connection.rollback();
    else await connection.commit();
    if (rollback) report.rolledBack += 1;
    else report.committed += 1;
  } catch (error) {
    const errno = (error as { errno?: number }).errno ?? 0;
    report.errors[errno] = (report.errors[errno] ?? 0) + 1;
    report.rolledBack += 1;
    await connection.rollback();
  }
}

async function run(connection: Connection, [sql, values]: Statement, report: WorkloadReport): Promise<void> {
  const started = performance.now();
  await connection.execute<ResultSetHeader>(sql, values as (string | number | Buffer | null)[]);
  report.slowestMs = Math.max(report.slowestMs, performance.now() - started);
  report.statements += 1;
}

function randomStatement(random: Random): Statement {
  const table = random.pick(workloadTables);
  const where = table.key.map((k) => `${quote(k)} = ?`).join(' AND ');
  const roll = random.next();
  if (roll < 0.14) return insertStatement('INSERT IGNORE', table, random, 1);
  if (roll < 0.22) return insertStatement('INSERT IGNORE', table, random, 2 + random.below(20));
  if (roll < 0.25) return insertStatement('INSERT', table, random, 1);
  if (roll < 0.35) return insertStatement('REPLACE', table, random, 1 + random.below(3));
  if (roll < 0.47) return upsertStatement(table, random);
  if (roll < 0.57) return [`DELETE FROM ${quote(table.name)} WHERE ${where}`, table.randomKey(random)];
  if (roll < 0.65) return keyChange(table, random);
  if (roll < 0.68) return caseChange(random);
  if (roll < 0.72) return manyRows(random);
  if (roll < 0.74) return joined(random);
  return updateStatement(table, random, where);
}

function insertStatement(verb: string, table: WorkloadTable, random: Random, rows: number): Statement {
  const generated = table.name === 'accounts' && verb === 'INSERT' && random.chance(0.5);
  const columns = generated ? table.values : [...table.key, ...table.values];
  const tuple = `(${columns.map(() => '?').join(', ')})`;
  const values = Array.from({ length: rows }, () => {
    const key = table.randomKey(random);
    const rest = table.randomValues(random);
    return generated ? rest : [...key, ...rest];
  });
  const into = `${quote(table.name)} (${columns.map(quote).join(', ')})`;
  return [`${verb} INTO ${into} VALUES ${values.map(() => tuple).join(', ')}`, values.flat()];
}

function upsertStatement(table: WorkloadTable, random: Random): Statement {
  const [sql, values] = insertStatement('INSERT', table, random, 1);
  const column = quote(random.pick(table.values.filter((name) => name !== 'email')));
  return [`${sql} AS fresh ON DUPLICATE KEY UPDATE ${column} = fresh.${column}`, values];
}

/** Half of them touch a hot key; some write what is there already. */
function updateStatement(table: WorkloadTable, random: Random, where: string): Statement {
  if (random.chance(0.4)) {
    return [
      'UPDATE stock SET quantity = quantity + ? WHERE warehouse = 1 AND sku = ?',
      [1 + random.below(9), 'SKU:1%'],
    ];
  }
  if (random.chance(0.1)) {
    const column = quote(table.values[0] ?? '');
    return [`UPDATE ${quote(table.name)} SET ${column} = ${column} WHERE ${where}`, table.randomKey(random)];
  }
  const values = table.randomValues(random);
  const chosen = table.values.map((name, i) => [name, values[i]] as const).filter(() => random.chance(0.4));
  const set = chosen.length > 0 ? chosen : [[table.values[0] ?? '', values[0]] as const];
  return [
    `UPDATE IGNORE ${quote(table.name)} SET ${set.map(([name]) => `${quote(name)} = ?`).join(', ')} WHERE ${where}`,
    [...set.map(([, value]) => value), ...table.randomKey(random)],
  ];
}

function keyChange(table: WorkloadTable, random: Random): Statement {
  const set = table.key.map((k) => `${quote(k)} = ?`).join(', ');
  const where = table.key.map((k) => `${quote(k)} = ?`).join(' AND ');
  return [
    `UPDATE IGNORE ${quote(table.name)} SET ${set} WHERE ${where}`,
    [...table.randomKey(random), ...table.randomKey(random)],
  ];
}

/** Under the ci collation the key stays equal; as bytes it is another key. */
function caseChange(random: Random): Statement {
  const to = random.pick(['UPPER', 'LOWER']);
  return [`UPDATE codes SET code = ${to}(code), uses = uses + 1 WHERE code LIKE ?`, [`code${random.below(30)}%`]];
}

function manyRows(random: Random): Statement {
  return random.pick<Statement>([
    ['UPDATE accounts SET balance = balance + 1 WHERE id BETWEEN ? AND ? + 30 ORDER BY id', same(random.below(400))],
    ['DELETE FROM readings WHERE sensor = ? ORDER BY day, at, sensor LIMIT 10', [random.below(8)]],
    [
      'INSERT IGNORE INTO stock SELECT warehouse + 5, sku, quantity, reserved, counted FROM stock WHERE warehouse = ?',
      [1 + random.below(5)],
    ],
    ['DELETE FROM stock WHERE warehouse > 5 ORDER BY warehouse, sku LIMIT 40', []],
  ]);
}

function joined(random: Random): Statement {
  return [
    'UPDATE members m JOIN accounts a ON a.id = m.id SET m.born = 2000, a.note = m.email WHERE m.id BETWEEN ? AND ? + 5',
    same(1 + random.below(150)),
  ];
}

function same(value: number): unknown[] {
  return [value, value];
}

function quote(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
