/** Row events of captured tables → what changed in the transaction, key by key, and where foreign keys may have acted. Pure. */
import type { CompareImages } from '../stores/mysql/binlogAlike.js';
import { eventType } from '../stores/mysql/binlogEvents.js';
import type { KeyReader } from '../stores/mysql/binlogKey.js';
import { isAbsent, walkRows, type Spots } from '../stores/mysql/binlogRows.js';
import type { TableMap } from '../stores/mysql/binlogTableMap.js';
import type { TableUse } from './witnessMaps.js';
import type { RowOp, TablePairs } from './witnessPairs.js';
import type { WitnessTables } from './witnessTables.js';
import type { WitnessedTransaction } from './witnessTransaction.js';

/** An event of rows, where it lies. */
export interface RowsEvent {
  readonly type: number;
  readonly map: TableMap;
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

/** Returns how many there are. Read once for each form that the keys may have. */
export function noteRows(
  event: RowsEvent,
  { readers, compare }: TableUse,
  pairsOf: (keyForm: string) => TablePairs,
  firstForm: string,
): number {
  if (readers.size === 0) return noteAs(null, event, compare, pairsOf(firstForm));
  let rows = 0;
  for (const [form, reader] of readers) rows = noteAs(reader, event, compare, pairsOf(form));
  return rows;
}

function noteAs(reader: KeyReader | null, event: RowsEvent, compare: CompareImages | null, pairs: TablePairs): number {
  const { type, map, buffer, start, end } = event;
  const op = opOf(type);
  let rows = 0;
  walkRows(type, map, buffer, start, end, (first, second) => {
    rows += 1;
    const key = reader === null ? null : reader(buffer, first);
    if (op !== 'u') {
      pairs.changed(op, key);
      return;
    }
    const after = reader === null ? null : (reader(buffer, second) ?? reader(buffer, completed(first, second)));
    if (after !== key) {
      pairs.changed('d', key);
      pairs.changed('c', after);
      return;
    }
    const images = compare?.(buffer, first, second, type === eventType.partialUpdateRows) ?? 'different';
    if (images === 'different') pairs.changed('u', key);
    else pairs.changedAlike(key, images);
  });
  return rows;
}

/** cascadesLogged: whether rows of cascades have events of their own. */
export function noteCascades(
  event: RowsEvent,
  use: TableUse,
  tables: WitnessTables,
  transaction: WitnessedTransaction,
  cascadesLogged: boolean,
): void {
  const { children } = use;
  if (children.length === 0 || event.type === eventType.writeRows) return;
  for (const { id } of children) transaction.cascadedTo.add(id);
  if (cascadesLogged || !actsOnChildren(event, use, tables)) return;
  for (const { id } of children) transaction.cascadedUnseen.add(id);
}

/** Where cascades leave no rows in the log, a parent's delete or new key tells that children changed. */
function actsOnChildren(
  { type, map, buffer, start, end }: RowsEvent,
  { readers }: TableUse,
  tables: WitnessTables,
): boolean {
  if (type === eventType.deleteRows) return true;
  if (!tables.cascadesOnUpdate(map.database, map.table)) return false;
  const [reader = null] = readers.values();
  let acts = false;
  walkRows(type, map, buffer, start, end, (first, second) => {
    acts ||= reader === null || reader(buffer, first) !== reader(buffer, completed(first, second));
  });
  return acts;
}

/** binlog_row_image is not FULL: what the new image leaves out stayed as it was. */
function completed(before: Spots, after: Spots): Spots {
  return after.map((spot, i) => (spot === isAbsent ? (before[i] ?? isAbsent) : spot));
}

function opOf(type: number): RowOp {
  if (type === eventType.writeRows) return 'c';
  return type === eventType.deleteRows ? 'd' : 'u';
}
