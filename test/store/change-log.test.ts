/** The change log as a queue on a real InnoDB: what a delete may wait for, what a read may see, what a look may tell. */
import { randomBytes } from 'node:crypto';
import { createConnection, type Connection } from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import {
  hasRows,
  probeSeq,
  readImage,
  readOldest,
  removeRows,
  removeUnlocked,
  stillThere,
  seqRuns,
} from '../../stores/mysql/changeLog.js';
import { openTransactions, type OpenTransactions } from '../../stores/mysql/openTransactions.js';
import { readBacklog } from '../../stores/mysql/backlog.js';
import { openMysql, type Mysql, type Session } from '../../stores/mysql/connection.js';
import { migrate } from '../../stores/mysql/migrate.js';
import { relayLockName, takeRelayLock } from '../../stores/mysql/relayLock.js';
import { until } from '../support/processes.js';

const stack = inject('stack');
const db = `changelog_${randomBytes(3).toString('hex')}`;
let mysql: Mysql;
let session: Session;
let other: Connection;

beforeAll(async () => {
  mysql = openMysql({ uri: stack.mysql.uri, database: 'mysql', stateDatabase: db, tls: null }, { connections: 2 });
  await migrate(mysql);
  session = await mysql.session();
  other = await createConnection({ uri: stack.mysql.uri, database: db });
});

beforeEach(async () => {
  await other.query('ROLLBACK');
  await other.query('DELETE FROM change_log');
});

afterAll(async () => {
  await session.close();
  await mysql.run(`DROP DATABASE ${db}`);
  await mysql.close();
  await other.end();
});

async function fill(connection: Connection, count: number, after = 'x'): Promise<void> {
  const rest = [1, 'c', '{"id":1}', after, Buffer.alloc(16)];
  await connection.query('INSERT INTO change_log (identity, table_id, op, `key`, `after`, definition) VALUES ?', [
    Array.from({ length: count }, () => [randomBytes(8), ...rest]),
  ]);
}

const everything = { floor: 0, limit: 1_000, except: [] };

test('rows come oldest first, large images apart', async () => {
  await fill(other, 3);
  await fill(other, 1, 'y'.repeat(50_000));
  const rows = await readOldest(session, db, everything);
  expect(rows.map(({ seq }) => seq)).toEqual(rows.map(({ seq }) => seq).toSorted((a, b) => a - b));
  const [first, , , large] = rows;
  expect(first).toMatchObject({
    op: 'c',
    tableId: 1,
    before: null,
    afterBytes: 1,
    beforeBytes: 0,
    definition: '0'.repeat(32),
  });
  expect(first?.after?.toString()).toBe('x');
  expect(first?.at).toBeGreaterThan(Date.now() - 60_000);
  expect(large).toMatchObject({ after: null, afterBytes: 50_000 });
  const after = await readImage(session, db, 'after', large ?? { seq: 0, identity: '' });
  expect(after?.length).toBe(50_000);
  const stranger = { seq: large?.seq ?? 0, identity: 'ff'.repeat(8) };
  expect(await readImage(session, db, 'after', stranger)).toBeUndefined();
});

test('a read leaves out what is under way, and finds what appears between', async () => {
  await fill(other, 10);
  const rows = await readOldest(session, db, everything);
  const taken = rows.filter((_, i) => i % 3 !== 1);
  const left = await readOldest(session, db, { ...everything, except: seqRuns(taken) });
  expect(left.map(({ seq }) => seq)).toEqual(rows.filter((_, i) => i % 3 === 1).map(({ seq }) => seq));
});

test('a delete waits for no stranger: not before its rows, not between them, not behind', async () => {
  const strangers = await createConnection({ uri: stack.mysql.uri, database: db });
  try {
    await strangers.query('BEGIN');
    await fill(strangers, 1);
    await fill(other, 5);
    await fill(strangers, 1);
    await fill(other, 5);
    await fill(strangers, 1);
    const rows = await readOldest(session, db, everything);
    expect(rows).toHaveLength(10);
    const began = performance.now();
    expect(await removeRows(session, db, rows)).toBe(true);
    expect(performance.now() - began).toBeLessThan(700);
    await strangers.query('COMMIT');
    expect(await readOldest(session, db, everything)).toHaveLength(3);
  } finally {
    await strangers.end();
  }
});

test('a delete leaves rows that came under the same numbers', async () => {
  await fill(other, 4);
  const rows = await readOldest(session, db, everything);
  await other.query('UPDATE change_log SET identity = RANDOM_BYTES(8) WHERE seq = ?', [rows[1]?.seq]);
  expect((await stillThere(session, db, rows)).map(({ seq }) => seq)).toEqual([0, 2, 3].map((i) => rows[i]?.seq));
  expect(await removeRows(session, db, rows)).toBe(true);
  expect((await readOldest(session, db, everything)).map(({ seq }) => seq)).toEqual([rows[1]?.seq]);
});

test('a locked row makes a delete give up, and the others can go without waiting', async () => {
  await fill(other, 6);
  const rows = await readOldest(session, db, everything);
  await other.query('BEGIN');
  await other.query('SELECT * FROM change_log WHERE seq = ? FOR UPDATE', [rows[2]?.seq]);
  expect(await removeRows(session, db, rows)).toBe(false);
  const began = performance.now();
  expect((await removeUnlocked(session, db, rows)).map(({ seq }) => seq)).toEqual([rows[2]?.seq]);
  expect(performance.now() - began).toBeLessThan(700);
  await other.query('ROLLBACK');
  expect(await removeUnlocked(session, db, rows)).toEqual([]);
  expect(await hasRows(session, db, 0)).toBe(false);
});

/** Open transactions in a picture that was taken after this was called. */
async function pictured(): Promise<ReadonlyMap<string, boolean>> {
  const old = (await openTransactions(session, db, []))?.began;
  let found: OpenTransactions | null = null;
  await until(
    'MySQL makes a new picture',
    async () => {
      found = await openTransactions(session, db, []);
      return found !== null && found.began !== old;
    },
    { everyMs: 130 },
  );
  return (found as OpenTransactions | null)?.open ?? new Map<string, boolean>();
}

test('an open transaction is seen, and whether it has written; our own are not', async () => {
  const [before] = await other.query('SELECT CONNECTION_ID() id');
  const { id } = (before as { id: number }[])[0] ?? { id: 0 };
  const seen = async (): Promise<boolean[]> => {
    const open = await pictured();
    expect([...open.keys()].some((name) => name.startsWith(`${session.threadId} `))).toBe(false);
    return [...open].filter(([name]) => name.startsWith(`${id} `)).map(([, writes]) => writes);
  };
  expect(await seen()).toEqual([]);
  await other.query('START TRANSACTION WITH CONSISTENT SNAPSHOT');
  expect(await seen()).toEqual([false]);
  await fill(other, 1);
  expect(await seen()).toEqual([true]);
  await other.query('ROLLBACK');
  expect(await seen()).toEqual([]);
});

test('an XA transaction that leaves its connection when it is prepared is still known by one of its names', async () => {
  const xid = `'${randomBytes(6).toString('hex')}'`;
  const before = new Set((await pictured()).keys());
  await other.query(`XA START ${xid}`);
  await fill(other, 1);
  const names = [...(await pictured()).keys()].filter((name) => !before.has(name));
  await other.query(`XA END ${xid}`);
  await other.query(`XA PREPARE ${xid}`);
  try {
    const open = await pictured();
    expect(names.some((name) => open.get(name) === true)).toBe(true);
  } finally {
    await other.query(`XA ROLLBACK ${xid}`);
  }
});

test('a probe tells where numbers go on, and leaves nothing', async () => {
  await fill(other, 2);
  const rows = await readOldest(session, db, everything);
  expect(await probeSeq(session, db)).toBeGreaterThan(rows.at(-1)?.seq ?? 0);
  expect(await readOldest(session, db, everything)).toHaveLength(2);
});

test('the backlog in rows, age and bytes', async () => {
  expect(await readBacklog(session, db)).toMatchObject({ rows: 0, oldestMs: 0 });
  await fill(other, 20);
  const backlog = await readBacklog(session, db, 10);
  expect(backlog.rows).toBe(11);
  expect(backlog.oldestMs).toBeLessThan(60_000);
  expect(backlog.bytes).toBeGreaterThan(0);
});

test('the relay lock is taken from a holder that does not let go', async () => {
  const frozen = await createConnection({ uri: stack.mysql.uri });
  frozen.on('error', () => undefined);
  await frozen.query('SELECT GET_LOCK(?, 0)', [relayLockName(db)]);
  await takeRelayLock(session, db, 100);
  await expect(frozen.query('SELECT 1')).rejects.toThrow(/closed|lost|ended|gone/i);
  const [row] = await session.rows('SELECT IS_USED_LOCK(?)', [relayLockName(db)]);
  expect(row?.[0]).toBe(session.threadId);
});
