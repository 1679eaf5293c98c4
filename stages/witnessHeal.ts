/**
 * Heals what escaped, through the change log: keys are logged again as they are now, a table of which no keys are known is
 * made due for a copy. Recorded first, so that `status` names it; healed next; only then does the witness's position
 * move. Run twice, it logs the same rows twice, which changes nothing.
 */
import { randomUUID } from 'node:crypto';
import { codeOf } from '../core/errors.js';
import type { EscapeCause, Healing } from '../core/witness.js';
import type { Mysql, Session } from '../stores/mysql/connection.js';
import { readCopy, requestCopy } from '../stores/mysql/copies.js';
import {
  forgetPrepared,
  healEscape,
  keepPrepared,
  recordEscape,
  sumOf,
  type Escaped,
} from '../stores/mysql/escapes.js';
import { asMysqlPrints } from '../stores/mysql/keyLookup.js';
import type { BinlogPlace } from '../stores/mysql/binlogStream.js';
import { readCapturedTables, readDefinition } from '../stores/mysql/state.js';
import { repairKeys } from './repair.js';
import { causeOf, lookAtTable, type TableLook } from './witnessCause.js';
import type { FeedItem, Finding } from './witnessFindings.js';
import { mostKeys } from './witnessPairs.js';
import type { WitnessTables } from './witnessTables.js';

export interface HealScope {
  readonly mysql: Mysql;
  /** For transactions: one that a frozen process left open ends soon (`boundedInTransaction`). */
  readonly session: Session;
  readonly tables: WitnessTables;
  /** Xid → findings of XA transactions that are prepared. */
  readonly prepared: Map<string, string>;
  readonly signal: AbortSignal;
  beat(): void;
  /** Triggers are to be put back, or copies begun. */
  lookNow(): void;
  escaped(escape: { readonly table: string; readonly cause: EscapeCause; readonly keys: number | null }): void;
}

/** Seconds in an idle transaction until the server rolls it back: a frozen witness does not keep its successor from healing. */
export const boundedInTransaction = { idleInTransaction: 2 } as const;

/** In the log's order. Returns whether an escape stays open until a copy is done. */
export async function heal(scope: HealScope, items: readonly FeedItem[]): Promise<boolean> {
  let open = false;
  for (const [id, found] of await committed(scope, items)) open = (await healTable(scope, id, found)) || open;
  return open;
}

/** What is found of a table, and where its transaction ends. */
interface PlacedFinding {
  readonly finding: Finding;
  readonly place: BinlogPlace;
}

/** What is certain by now, table by table; XA transactions that are only prepared are kept for later. */
async function committed(
  scope: HealScope,
  items: readonly FeedItem[],
): Promise<ReadonlyMap<number, readonly PlacedFinding[]>> {
  const { mysql, prepared } = scope;
  const { stateDatabase } = mysql.config;
  const byTable = new Map<number, PlacedFinding[]>();
  const add = (findings: readonly Finding[], place: BinlogPlace): void => {
    for (const finding of findings) {
      const of = byTable.get(finding.tableId);
      if (of === undefined) byTable.set(finding.tableId, [{ finding, place }]);
      else of.push({ finding, place });
    }
  };
  for (const item of items) {
    switch (item.kind) {
      case 'found':
        add(item.findings, item.place);
        break;
      case 'prepared': {
        const text = JSON.stringify(item.findings);
        await keepPrepared(mysql, stateDatabase, item.xid, text);
        prepared.set(item.xid, text);
        break;
      }
      case 'xa-committed':
        add(parseFindings(prepared.get(item.xid)), item.place);
        break;
      case 'xa-rolled-back':
        if (!prepared.delete(item.xid)) break;
        await forgetPrepared(mysql, stateDatabase, item.xid);
    }
  }
  return byTable;
}

/** Our own text. */
function parseFindings(text: string | undefined): readonly Finding[] {
  return text === undefined ? [] : (JSON.parse(text) as Finding[]);
}

/** After the position has passed their commit. */
export async function forgetCommitted(scope: HealScope, items: readonly FeedItem[]): Promise<void> {
  for (const item of items) {
    if (item.kind !== 'xa-committed' || !scope.prepared.delete(item.xid)) continue;
    await forgetPrepared(scope.mysql, scope.mysql.config.stateDatabase, item.xid);
  }
}

/** By cause, what is known of one table. */
interface Wound {
  readonly cause: EscapeCause;
  readonly keys: ReadonlySet<string> | null;
  readonly found: readonly Escaped[];
}

async function healTable(scope: HealScope, id: number, findings: readonly PlacedFinding[]): Promise<boolean> {
  // Read for what the log shows of it; of a table that was captured since its log rows alone may have come.
  if (scope.tables.byId(id) === undefined) await scope.tables.refresh();
  const table = scope.tables.byId(id);
  if (table === undefined) return false;
  scope.beat();
  const look = await lookAtTable(scope.mysql, table.name);
  if (look === null) return false;
  const wounds = woundsOf(findings, look);
  let open = false;
  for (const { cause, keys, found } of wounds) {
    const byKeys = keys !== null && keys.size <= mostKeys && look.triggers === null;
    const healing: Healing = byKeys ? 'rows' : 'copy';
    const copyRuns = await copyUnderWay(scope, id);
    // Cascades that leave no rows in the log come on and on: each copy would be broken off by the next.
    const again = cause === 'foreign-key' && keys === null && copyRuns === 'running';
    const wish = { tableId: id, cause, found, healing, again };
    const { id: escape, fresh } = await scope.session.transaction(async (queries) => {
      const { stateDatabase } = scope.mysql.config;
      const recorded = await recordEscape(queries, stateDatabase, wish);
      // A copy that has yet to begin will read what the rows are then.
      if (!byKeys && !again && copyRuns !== 'due') {
        const phase = look.triggers === null ? 'needed' : 'waiting';
        await requestCopy(queries, stateDatabase, { tableId: id, run: randomUUID(), reason: 'escaped', phase });
      }
      return recorded;
    });
    if (fresh.length > 0) scope.escaped({ table: table.name, cause, keys: sumOf(fresh) });
    if (byKeys) open = !(await relog(scope, id, table.name, escape, [...keys])) || open;
    else {
      open = true;
      scope.lookNow();
    }
  }
  return open;
}

function woundsOf(findings: readonly PlacedFinding[], look: TableLook): readonly Wound[] {
  const wounds = new Map<EscapeCause, { cause: EscapeCause; keys: Set<string> | null; found: Escaped[] }>();
  for (const { finding, place } of findings) {
    const { keys } = finding;
    const cause = finding.cause ?? causeOf(look, finding);
    const wound = wounds.get(cause) ?? { cause, keys: new Set(), found: [] };
    wounds.set(cause, wound);
    wound.found.push({ keys: keys === null ? null : keys.length, place });
    if (keys === null) wound.keys = null;
    else for (const key of keys) wound.keys?.add(key);
  }
  return [...wounds.values()];
}

async function copyUnderWay({ mysql }: HealScope, id: number): Promise<'none' | 'first' | 'due' | 'running'> {
  const copy = await readCopy(mysql, mysql.config.stateDatabase, id);
  switch (copy?.phase) {
    case undefined:
    case 'done':
    // The table was dropped: there is no row to heal.
    case 'clear':
      return 'none';
    case 'waiting':
    case 'needed':
      // A first copy may do without a pass for orphans: what was deleted unseen needs one.
      return copy.reason === 'new-table' ? 'first' : 'due';
    case 'old-keys':
    case 'rows':
    case 'skipped':
    case 'orphans':
      return 'running';
  }
}

/** False when the table had to be made due for a copy instead. */
async function relog(
  scope: HealScope,
  id: number,
  table: string,
  escape: number,
  keys: readonly string[],
): Promise<boolean> {
  const { mysql, signal } = scope;
  const { stateDatabase } = mysql.config;
  try {
    const { skipped } = await repairKeys({ mysql }, table, await printed(scope, id, keys), {
      signal,
      beat: () => scope.beat(),
    });
    signal.throwIfAborted();
    if (skipped.length === 0) {
      await healEscape(mysql, stateDatabase, escape);
      return true;
    }
  } catch (error) {
    // Its columns changed meanwhile.
    if (codeOf(error) !== 'LS-MYSQL-STATEMENT') throw error;
  }
  await mysql.transaction((queries) =>
    requestCopy(queries, stateDatabase, { tableId: id, run: randomUUID(), reason: 'escaped' }),
  );
  await mysql.run(`UPDATE \`${stateDatabase}\`.escapes SET healing = 'copy' WHERE id = ?`, [escape]);
  scope.lookNow();
  return false;
}

/** FLOAT and DOUBLE keys as MySQL prints them. */
async function printed({ mysql, tables }: HealScope, id: number, keys: readonly string[]): Promise<readonly string[]> {
  if (tables.byId(id)?.keyForms.every(({ asRead }) => asRead === null) !== false) return keys;
  const captured = (await readCapturedTables(mysql, mysql.config.stateDatabase)).find((table) => table.id === id);
  const definition =
    captured === undefined ? null : await readDefinition(mysql, mysql.config.stateDatabase, captured.definition);
  return definition === null ? keys : asMysqlPrints(mysql, definition, keys);
}
