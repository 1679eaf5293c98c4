/**
 * The property: random tables × random statements × random sessions, and after `wait` an independent comparison finds all
 * three stores equal. A twin database without lockstep gets the same statements in the same session: they must end the same.
 * `LOCKSTEP_FIDELITY_BATCHES=50` runs for longer; `LOCKSTEP_TEST_SEED` makes a run again.
 */
import { createConnection, type Connection, type ResultSetHeader, type RowDataPacket } from 'mysql2/promise';
import { expect, inject, test } from 'vitest';
import { compareTable, differenceCount } from '../../stages/compare.js';
import { targetOf } from '../../core/target.js';
import { requestCopiesOf } from '../../stores/mysql/incarnation.js';
import { readParkedKeys } from '../../stores/mysql/parked.js';
import { readCapturedTables, readDefinition } from '../../stores/mysql/state.js';
import { compareStores, differencesOf } from '../support/compare.js';
import { createLineRig, type LineRig } from '../support/lineRig.js';
import { seededRandom, testSeed, type Random } from '../support/random.js';
import { randomSession, randomTransaction } from '../support/randomStatements.js';
import { quote, randomTable, type RandomTable } from '../support/randomTables.js';
import { connectSource, readRows, readTables } from '../support/source.js';
import { chainViolations, replayViolations, shapeViolations } from '../support/topicChecks.js';
import { readTopics } from '../support/topics.js';

const stack = inject('stack');
const seed = testSeed();
const batches = Number(process.env['LOCKSTEP_FIDELITY_BATCHES'] ?? 1);
const tablesABatch = 30;
const transactionsABatch = 550;

/** Rows that exist before the first copy, then traffic, then traffic while half of the tables are copied again. */
const phases = [0.2, 0.5, 0.3];

test.each(Array.from({ length: batches }, (_, i) => seed + i))(
  'seed %i: random tables, statements and sessions end equal in all three stores',
  { timeout: 600_000 },
  async (batchSeed) => {
    console.log(`seed ${batchSeed} (LOCKSTEP_TEST_SEED=${batchSeed} makes this run again)`);
    const random = seededRandom(batchSeed);
    const connection = await createConnection({ uri: stack.mysql.uri, charset: 'utf8mb4' });
    const plain = `property_twin_${Math.random().toString(36).slice(2, 8)}`;
    let line: LineRig | undefined;
    try {
      const tables = await usableTables(random, connection, plain);
      const overrides = Object.fromEntries(
        tables.map(({ name, layout, forms }) => [name, { redis: { layout }, columns: forms }]),
      );
      line = await createLineRig(stack, 'property', { overrides });
      await run(line, await openTwins(connection, line, plain, tables), random, tables);
      expect(await line.stop()).toEqual([]);
      await checkTopics(line, tables);
    } finally {
      await connection.query(`DROP DATABASE IF EXISTS ${plain}`);
      await connection.end();
      await line?.remove();
    }
  },
);

async function run(line: LineRig, twins: Twins, random: Random, tables: readonly RandomTable[]): Promise<void> {
  const [first = 0, second = 0, third = 0] = phases.map((share) => Math.floor(share * transactionsABatch));
  await twins.write(random, tables, first);
  await line.rig.install();
  line.run();
  await line.copyAll();
  await twins.write(random, tables, second);
  const again = tables.filter(() => random.chance(0.5)).map(({ name }) => name);
  await requestCopiesOf(line.rig.mysql, new Set(again), { reason: 'loss', newRun: () => crypto.randomUUID() });
  await Promise.all([line.copyAll(), twins.write(random, tables, third)]);
  await line.wait();
  const parked = await parkedByCapture(line);
  await twins.endOpenCodes(tables);
  await line.wait();
  const { told } = twins;
  console.log(
    `${told.statements} statements, ${told.refused} of them refused by MySQL, in ${tables.length} tables; ${parked} keys parked`,
  );
  expect(await parkedByCapture(line)).toBe(0);
  expect(told.statements).toBeGreaterThan(transactionsABatch);
  expect(told.refused / told.statements).toBeLessThan(0.6);
  expect(await twins.unequal(tables)).toEqual([]);

  const compared = await compareStores(line.targets());
  expect(withDdl(differencesOf(compared), tables)).toEqual([]);
  expect(compared.reduce((sum, { rows }) => sum + rows, 0)).toBeGreaterThan(tables.length);
  expect(await productsOwnDifferences(line)).toEqual([]);
  expect((await Promise.all(line.stores.map(async (store) => await store.parkedKeys(10)))).flat()).toEqual([]);
}

async function parkedByCapture({ rig }: LineRig): Promise<number> {
  return (await readParkedKeys(rig.mysql, rig.stateDatabase)).size;
}

/** MySQL takes not every table that chance makes: a row or a key may be too long for it. */
async function usableTables(random: Random, connection: Connection, database: string): Promise<RandomTable[]> {
  const tables: RandomTable[] = [];
  await connection.query(`CREATE DATABASE ${database}`);
  for (let attempt = 0; tables.length < tablesABatch; attempt++) {
    const table = randomTable(random, attempt);
    const { errno } = await outcomeOf(connection, `CREATE TABLE ${database}.${quote(table.name)} ${table.ddl}`);
    if (errno === 0) tables.push(table);
    else if (!tooLong.includes(errno)) throw new Error(`error ${errno} for ${table.ddl}`);
  }
  return tables;
}

/**
 * Key too long, row too large, prefix key of a type that is shorter; a name whose file's would be longer than a file system
 * takes (InnoDB writes five bytes for each letter that is none).
 */
const tooLong = [1071, 1118, 1089, 1030];

interface Twins {
  readonly told: { statements: number; refused: number };
  write(random: Random, tables: readonly RandomTable[], transactions: number): Promise<void>;
  /** Rows that hold text that Unicode does not have, in a key or a value, are deleted: what was parked must be free again. */
  endOpenCodes(tables: readonly RandomTable[]): Promise<void>;
  /** Tables whose twins hold other rows. */
  unequal(tables: readonly RandomTable[]): Promise<string[]>;
}

async function openTwins(
  connection: Connection,
  line: LineRig,
  plain: string,
  tables: readonly RandomTable[],
): Promise<Twins> {
  const captured = line.database;
  // Not LIKE its twin: MySQL would write a generated column's text anew, as UTF-32 with backslashes where the column is.
  for (const { name, ddl } of tables) await connection.query(`CREATE TABLE ${captured}.${quote(name)} ${ddl}`);
  const told = { statements: 0, refused: 0 };

  async function both(statement: string): Promise<void> {
    const [theirs, ours] = [
      await outcomeOf(connection, statement.replaceAll('{db}', plain)),
      await outcomeOf(connection, statement.replaceAll('{db}', captured)),
    ];
    expect([statement, ours]).toEqual([statement, theirs]);
    told.statements += 1;
    if (ours.errno !== 0) told.refused += 1;
  }

  return {
    told,
    async write(random, all, transactions) {
      for (let i = 0; i < transactions; i++) {
        const table = random.pick(all);
        for (const statement of randomSession(random, table)) await connection.query(statement);
        const statements = randomTransaction(random, table);
        // The twins' transactions follow each other: one connection has one session.
        if (statements.length === 1) await both(statements[0] ?? '');
        else await oneAfterTheOther(connection, statements, [plain, captured], told);
      }
    },
    async endOpenCodes(all) {
      await connection.query("SET time_zone = '+00:00', sql_mode = '', NAMES utf8mb4");
      for (const { name, columns } of all) {
        const holds = columns.flatMap(({ name: column, type }) =>
          (type.openCodes ?? []).map((code) => `INSTR(HEX(${quote(column)}), '${code}') > 0`),
        );
        if (holds.length > 0) await both(`DELETE FROM {db}.${quote(name)} WHERE ${holds.join(' OR ')}`);
      }
    },
    async unequal(all) {
      const different: string[] = [];
      await connection.query("SET time_zone = '+00:00', sql_mode = '', NAMES utf8mb4");
      for (const { name } of all) {
        const sums = [captured, plain].map(async (db) => await checksum(connection, `${db}.${quote(name)}`));
        const [a, b] = await Promise.all(sums);
        if (a !== b) different.push(name);
      }
      return different;
    },
  };
}

/** The same transaction in each database; every statement must end the same in both. */
async function oneAfterTheOther(
  connection: Connection,
  statements: readonly string[],
  databases: readonly string[],
  told: Twins['told'],
): Promise<void> {
  const outcomes: string[][] = [];
  for (const database of databases) {
    const seen: string[] = [];
    for (const statement of statements) {
      const outcome = await outcomeOf(connection, statement.replaceAll('{db}', database));
      seen.push(`${statement} → ${JSON.stringify(outcome)}`);
      told.statements += 0.5;
      if (outcome.errno !== 0) told.refused += 0.5;
    }
    outcomes.push(seen);
  }
  expect(outcomes[1]).toEqual(outcomes[0]);
}

/** What an application sees of a statement's end. */
interface Outcome {
  readonly errno: number;
  readonly affectedRows: number;
  readonly info: string;
  readonly warnings: number;
}

async function outcomeOf(connection: Connection, statement: string): Promise<Outcome> {
  try {
    const [result] = await connection.query<ResultSetHeader>(statement);
    const { affectedRows, info, warningStatus: warnings } = result;
    // Where a trigger waits for DELETE, MySQL counts a row that is replaced by its equal as deleted and inserted.
    if (statement.startsWith('REPLACE')) return { errno: 0, affectedRows: 0, info: '', warnings };
    return { errno: 0, affectedRows, info, warnings };
  } catch (error) {
    const { errno } = error as { errno?: number };
    if (errno === undefined) throw error;
    return { errno, affectedRows: 0, info: '', warnings: 0 };
  }
}

async function checksum(connection: Connection, table: string): Promise<string> {
  const [[row]] = await connection.query<RowDataPacket[]>(`CHECKSUM TABLE ${table}`);
  return String(row?.['Checksum']);
}

/** A difference with the definition of its table: most are found by their type. */
function withDdl(differences: readonly string[], tables: readonly RandomTable[]): string[] {
  const shown = tables.filter(({ name }) => differences.some((text) => text.includes(` ${name} `)));
  return [...differences, ...shown.map(({ name, ddl }) => `${name} ${ddl}`)];
}

/** The same asked of the product's comparison, which demo, sweeps and verify share. */
async function productsOwnDifferences({ rig, config, stores }: LineRig): Promise<string[]> {
  const found: string[] = [];
  for (const { name, definition: hash } of await readCapturedTables(rig.mysql, rig.stateDatabase)) {
    const definition = await readDefinition(rig.mysql, rig.stateDatabase, hash);
    if (definition === null) throw new Error(`${name} has no definition`);
    const compared = await compareTable({ mysql: rig.mysql, stores }, definition, targetOf(name, config));
    if (differenceCount(compared) > 0) found.push(`${name}: ${JSON.stringify(compared.differences.slice(0, 3))}`);
  }
  return found;
}

async function checkTopics(line: LineRig, all: readonly RandomTable[]): Promise<void> {
  const events = await readTopics(stack.kafka.brokers, line.config.pipeline);
  const open = new Set(all.filter(({ columns }) => columns.some(({ type }) => type.openCodes)).map(({ name }) => name));
  const untold = (table: string): boolean => open.has(table);
  expect(shapeViolations(events, { repairs: true, untold }).slice(0, 10)).toEqual([]);
  expect(chainViolations(events, untold).slice(0, 10)).toEqual([]);
  const source = await connectSource(stack.mysql.uri, line.database);
  try {
    const tables = await readTables(source, line.database, [], line.targets().forms);
    const rows = new Map<string, Awaited<ReturnType<typeof readRows>>>();
    for (const table of tables) rows.set(table.name, await readRows(source, table));
    expect(replayViolations(events, tables, rows).slice(0, 10)).toEqual([]);
  } finally {
    await source.end();
  }
}
