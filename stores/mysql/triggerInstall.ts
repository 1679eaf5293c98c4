/**
 * Puts triggers on tables that are being written. The new version stands beside the old before the old goes, so no
 * change is lost (twins for some milliseconds; capture drops one). Never LOCK TABLES, which would stop every captured
 * table at the change log (tried: an ALTER inside it stalled an unrelated table for 493 ms).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { LockstepError } from '../../core/errors.js';
import { asText, asTextOrNull } from './cell.js';
import type { Mysql, Queries, Session } from './connection.js';
import { errorNumber } from './failure.js';
import { givingWay } from './patience.js';
import { quoteName, quoteTable } from './quote.js';
import { createTrigger, dropTrigger, type Trigger, type TriggerEvent } from './triggers.js';
import type { InstalledTrigger, TriggerDifference } from './triggerState.js';

/**
 * How long a statement may wait for the table's metadata lock: while it does, the application's next statements queue
 * behind it. MySQL's own limit has whole seconds only, so the statement is killed from beside.
 */
const patienceMs = 100;

/**
 * DROP TRIGGER holds the trigger's name while it waits for the table; ALTER TABLE takes the table first and the names of its
 * triggers then, and MySQL takes one of the two as the victim of a deadlock (tried: mostly the ALTER). So it does not begin
 * beside an ALTER, and where writers keep it waiting it waits as briefly as one short transaction takes; twice as long each
 * time that this was too short.
 */
const dropPatienceMs = 5;

/** How long an attempt waits for the table, and how long it is until the next one. */
interface Patience {
  readonly waitMs: number;
  readonly restMs: number;
}

const forCreate = (attempt: number): Patience => ({ waitMs: patienceMs, restMs: Math.min(2_000, 300 * 2 ** attempt) });

const forDrop = (attempt: number): Patience => ({
  waitMs: Math.min(patienceMs, dropPatienceMs * 2 ** attempt),
  restMs: 150,
});

/** Every trigger of the database, or of one table, by table. */
export async function readTriggers(
  queries: Queries,
  database: string,
  only?: string,
): Promise<Map<string, InstalledTrigger[]>> {
  const rows = await queries.rows(
    `SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, EVENT_MANIPULATION, ACTION_STATEMENT, DEFINER, ACTION_TIMING, SQL_MODE,
            CHARACTER_SET_CLIENT, COLLATION_CONNECTION
       FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = ? ${only === undefined ? '' : 'AND EVENT_OBJECT_TABLE = ?'}`,
    only === undefined ? [database] : [database, only],
  );
  const byTable = new Map<string, InstalledTrigger[]>();
  for (const row of rows) {
    const [name, table, event, body, definer, timing, sqlMode, characterSet, collation] = row.map((cell) =>
      asText(cell),
    );
    const trigger: InstalledTrigger = {
      name: name ?? '',
      table: table ?? '',
      event: asEvent(event),
      body: body ?? '',
      definer: definer ?? '',
      timing: timing ?? '',
      sqlMode: sqlMode ?? '',
      characterSet: characterSet ?? '',
      collation: collation ?? '',
    };
    const list = byTable.get(trigger.table);
    if (list === undefined) byTable.set(trigger.table, [trigger]);
    else list.push(trigger);
  }
  return byTable;
}

/** Name and table of every trigger, and nothing else of it. */
export async function readTriggerPlaces(queries: Queries, database: string): Promise<readonly string[]> {
  const rows = await queries.rows(
    'SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = ?',
    [database],
  );
  return rows.map((row) => `${asText(row[0])} ${asText(row[1])}`);
}

/**
 * information_schema shows a body with its string escapes undone and unusual names mangled. Where it differs from what is
 * expected, the exact text decides.
 */
export async function withExactBodies(
  queries: Queries,
  database: string,
  installed: readonly InstalledTrigger[],
  expected: readonly Trigger[],
): Promise<readonly InstalledTrigger[]> {
  const bodies = new Map(expected.map((trigger) => [trigger.name, trigger.body]));
  return Promise.all(
    installed.map(async (trigger) => {
      const body = bodies.get(trigger.name);
      if (body === undefined || body === trigger.body) return trigger;
      return (await hasExactBody(queries, database, trigger.name, body)) ? { ...trigger, body } : trigger;
    }),
  );
}

async function hasExactBody(queries: Queries, database: string, name: string, body: string): Promise<boolean> {
  try {
    const [row] = await queries.rows(`SHOW CREATE TRIGGER ${quoteTable(database, name)}`);
    return asText(row?.[2]).endsWith(` FOR EACH ROW ${body}`);
  } catch (error) {
    // It was dropped since it was listed.
    if (errorNumber(error) === 1360) return false;
    throw error;
  }
}

function asEvent(text: string | undefined): TriggerEvent {
  if (text === 'INSERT' || text === 'UPDATE' || text === 'DELETE') return text;
  throw new LockstepError('LS-INTERNAL', `a trigger on an unknown event: ${text}`);
}

/** A session whose CREATE TRIGGER statements are recorded with `triggerSqlMode`. */
export function triggerSession(mysql: Mysql): Promise<Session> {
  return mysql.session({ sqlMode: '', lockWaitTimeout: 1 });
}

/** Creates what is missing, replaces what was altered, then drops what is stray. Safe to repeat. */
export async function applyDifference(
  mysql: Mysql,
  session: Session,
  difference: TriggerDifference,
  deadline: number,
): Promise<void> {
  const { database } = mysql.config;
  const create = (trigger: Trigger): Promise<void> =>
    patiently(mysql, session, createTrigger(database, trigger), deadline, forCreate).catch((error: unknown) => {
      // Another process has just created it: the name vouches for the text.
      if (errorNumber(error) !== 1359) throw error;
    });
  for (const trigger of difference.altered) {
    await removeTrigger(mysql, session, trigger.name, deadline);
    await create(trigger);
  }
  for (const trigger of difference.missing) await create(trigger);
  for (const name of difference.stray) await removeTrigger(mysql, session, name, deadline);
}

/** Safe to repeat. The application's statements go first. */
export async function removeTrigger(mysql: Mysql, session: Session, name: string, deadline: number): Promise<void> {
  const table = await tableOf(mysql, name);
  const refuseBesideAlter = async (): Promise<void> => {
    if (table !== null && (await isBeingAltered(mysql, table)))
      throw new LockstepError('LS-MYSQL-LOCK-WAIT', `table ${table} is being altered`);
  };
  await patiently(mysql, session, dropTrigger(mysql.config.database, name), deadline, forDrop, refuseBesideAlter);
}

/** Null where there is no such trigger, or none that this account may see: then DROP TRIGGER tells which. */
async function tableOf(mysql: Mysql, trigger: string): Promise<string | null> {
  const [row] = await mysql.rows(
    'SELECT EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ? AND TRIGGER_NAME = ?',
    [mysql.config.database, trigger],
  );
  return row === undefined ? null : asText(row[0]);
}

/** By what the sessions run. A statement that only looks like it costs an attempt. */
async function isBeingAltered(mysql: Mysql, table: string): Promise<boolean> {
  return (await mysql.rows('SHOW FULL PROCESSLIST')).some((row) => {
    const [inDatabase, statement] = [asTextOrNull(row[3] ?? null), asTextOrNull(row[7] ?? null) ?? ''];
    return alters(statement, table, {
      database: mysql.config.database,
      isDefault: inDatabase === mysql.config.database,
    });
  });
}

/** `isDefault`: the session that runs it need not name the database. */
export function alters(
  statement: string,
  table: string,
  { database, isDefault }: { readonly database: string; readonly isDefault: boolean },
): boolean {
  const running = statement.slice(0, 4_096).toLowerCase();
  return altering.test(running) && names(running, table) && (isDefault || names(running, database));
}

/** As a word of its own, or in quotes. */
function names(running: string, name: string): boolean {
  const lower = name.toLowerCase();
  const within = (at: number): boolean => /[\p{L}\p{N}_$]/u.test(running.charAt(at));
  for (let at = running.indexOf(lower); at !== -1; at = running.indexOf(lower, at + 1))
    if (!within(at - 1) && !within(at + lower.length)) return true;
  return running.includes(quoteName(lower));
}

/** Comments may stand before the statement. */
const altering =
  /^\s*(?:(?:\/\*(?:[^*]|\*(?!\/))*\*\/|(?:--|#)[^\n]*\n)\s*)*(?:alter|optimize|rename|truncate|(?:create|drop)(?:\s+\w+)?\s+index)\b/;

/** Runs one DDL statement, giving way to the application again and again until it gets through. */
async function patiently(
  mysql: Mysql,
  session: Session,
  sql: string,
  deadline: number,
  patience: (attempt: number) => Patience,
  refuse: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const { waitMs, restMs } = patience(attempt);
    try {
      await refuse();
      await givingWay(mysql, session, waitMs, () => session.run(sql));
      return;
    } catch (error) {
      if (!isPassing(error) || Date.now() > deadline) throw error;
    }
    await sleep(restMs);
  }
}

function isPassing(error: unknown): boolean {
  if (!(error instanceof LockstepError)) return false;
  return error.code === 'LS-MYSQL-LOCK-WAIT' || error.code === 'LS-MYSQL-DEADLOCK';
}
