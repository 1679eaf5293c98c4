/**
 * The three triggers of a captured table as text. Pure. A trigger never fails the application's statement: whatever goes
 * wrong inside ends in a key-only row `?`, which capture reads again. It must be created under a
 * sql_mode that is not strict, where an oversize image becomes NULL (read again, too) instead of error 1301.
 */
import { createHash } from 'node:crypto';
import { definitionHash, type Definition } from '../../core/definition.js';
import { quoteHex, quoteName, quoteTable } from './quote.js';
import { keyJson, rowJson } from './rowJson.js';

/** What a trigger is recorded with. Not strict; ANSI_QUOTES for names that need it (`quoteName`). */
export const triggerSqlMode = 'ANSI_QUOTES';

export type TriggerEvent = 'INSERT' | 'UPDATE' | 'DELETE';

export const triggerEvents: readonly TriggerEvent[] = ['INSERT', 'UPDATE', 'DELETE'];

export interface Trigger {
  /** `lockstep_<table id>_<i|u|d>_<8 hex digits>`: the digits change with anything that the trigger does. */
  readonly name: string;
  readonly table: string;
  readonly event: TriggerEvent;
  readonly body: string;
  readonly definer: string;
}

export interface TriggerScope {
  readonly stateDatabase: string;
  readonly tableId: number;
  /** `user@host`, as CURRENT_USER() prints it: a trigger whose definer was dropped fails the application (1449). */
  readonly definer: string;
}

export function triggersOf(definition: Definition, scope: TriggerScope): readonly Trigger[] {
  return triggerEvents.map((event) => {
    const body = triggerBody(definition, event, scope);
    const text = JSON.stringify([definition.table, event, scope.definer, body]);
    const hash = createHash('sha256').update(text).digest('hex').slice(0, 8);
    const name = `lockstep_${scope.tableId}_${event.charAt(0).toLowerCase()}_${hash}`;
    return { name, table: definition.table, event, body, definer: scope.definer };
  });
}

/** Whether a trigger's name is one of lockstep's, whichever state database it writes to. */
export function isOurName(name: string): boolean {
  return /^lockstep_\d+_[iud]_[0-9a-f]{8}$/.test(name);
}

/** Whether a trigger of ours writes into this state database's change log. */
export function writesTo(body: string, stateDatabase: string): boolean {
  return body.includes(`INSERT INTO ${quoteTable(stateDatabase, 'change_log')} `);
}

export function createTrigger(database: string, trigger: Trigger): string {
  const head = `CREATE TRIGGER ${quoteTable(database, trigger.name)} AFTER ${trigger.event}`;
  return `${head} ON ${quoteTable(database, trigger.table)} FOR EACH ROW ${trigger.body}`;
}

export function dropTrigger(database: string, name: string): string {
  return `DROP TRIGGER IF EXISTS ${quoteTable(database, name)}`;
}

type Image = 'OLD' | 'NEW';

interface LogRow {
  readonly op: string;
  readonly key: Image;
  readonly before?: Image;
  readonly after?: Image;
}

function triggerBody(definition: Definition, event: TriggerEvent, scope: TriggerScope): string {
  const log = (...rows: readonly LogRow[]): string => insertText(definition, scope, rows);
  switch (event) {
    case 'INSERT':
      return neverFailing(log({ op: 'c', key: 'NEW', after: 'NEW' }), log({ op: '?', key: 'NEW' }));
    case 'DELETE':
      return neverFailing(log({ op: 'd', key: 'OLD', before: 'OLD' }), log({ op: '?', key: 'OLD' }));
    case 'UPDATE':
      return neverFailing(
        `IF ${sameKey(definition)} THEN\n${log({ op: 'u', key: 'NEW', before: 'OLD', after: 'NEW' })}\nELSE\n` +
          `${log({ op: 'd', key: 'OLD', before: 'OLD' }, { op: 'c', key: 'NEW', after: 'NEW' })}\nEND IF;`,
        log({ op: '?', key: 'OLD' }, { op: '?', key: 'NEW' }),
      );
  }
}

/** Keys compare as bytes: a change of case alone, under a case-insensitive collation, is a changed key. */
function sameKey(definition: Definition): string {
  return `CAST(${keyJson(definition, 'OLD')} AS BINARY)=CAST(${keyJson(definition, 'NEW')} AS BINARY)`;
}

/** `instead` runs when `work` fails for any reason, and may fail itself: then only the witness knows of the change. */
function neverFailing(work: string, instead: string): string {
  return `BEGIN
DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN
DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;
${instead}
END;
${work}
END`;
}

function insertText(definition: Definition, scope: TriggerScope, rows: readonly LogRow[]): string {
  const hash = quoteHex(definitionHash(definition));
  const image = (source: Image | undefined): string => (source === undefined ? 'NULL' : rowJson(definition, source));
  const values = rows.map(
    ({ op, key, before, after }) =>
      `(RANDOM_BYTES(8),${scope.tableId},'${op}',${keyJson(definition, key)},${image(before)},${image(after)},${hash})`,
  );
  return `INSERT INTO ${quoteTable(scope.stateDatabase, 'change_log')} (${logColumns}) VALUES ${values.join(',')};`;
}

/** The columns that a writer of the change log fills; seq and the time fill themselves. */
export const logColumns = ['identity', 'table_id', 'op', 'key', 'before', 'after', 'definition']
  .map(quoteName)
  .join(',');
