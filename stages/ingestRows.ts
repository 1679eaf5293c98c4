/**
 * Brings a chunk's rows into the table, in the order of the file, inside the chunk's transaction. A statement that one row
 * spoils is halved until that row stands alone; it is rejected, and the others go in.
 */
import { keyColumns, type Definition } from '../core/definition.js';
import type { IngestMode, IngestPlan, InputRow } from '../core/ingest.js';
import { keyToken, rowToken, type RowToken } from '../core/ingestKey.js';
import { asBytes } from '../stores/mysql/cell.js';
import type { Queries } from '../stores/mysql/connection.js';
import { tuplesCondition } from '../stores/mysql/ingestImages.js';
import { atValues, insertRows, keyLiteral, updateRow, updateRows, type RowScope } from '../stores/mysql/ingestRows.js';
import { quoteTable } from '../stores/mysql/quote.js';
import { keyJson } from '../stores/mysql/rowJson.js';
import type { TableTraits } from '../stores/mysql/tableTraits.js';
import { fitting, isTakenKey, rowFault, unreadable, type RowFault } from './ingestFault.js';

export interface Accepted {
  readonly row: InputRow;
  /** The number that MySQL drew for its key; null where the file gives the key. */
  readonly generated: number | null;
}

export interface RowsIn {
  /** In the order of the file. */
  readonly accepted: readonly Accepted[];
  readonly refused: readonly { readonly row: InputRow; readonly fault: RowFault }[];
}

export interface RowsContext extends RowScope {
  readonly mode: IngestMode;
  readonly traits: TableTraits;
  /** Place of the AUTO_INCREMENT column among the given ones, where it is part of the key; −1: not given. Null: there is none. */
  readonly numbered: number | null;
  readonly token: RowToken;
  /** Columns that `replace` sets to their default. */
  readonly defaults: readonly string[];
  /** A row that gives the whole key can be updated by one statement for many. */
  readonly updatesTogether: boolean;
}

export function rowsContext(plan: IngestPlan, mode: IngestMode, traits: TableTraits): RowsContext {
  const { definition } = plan;
  const columns = plan.columns.map(({ name }) => name);
  const { autoIncrement } = plan;
  const others = definition.columns.filter(
    ({ name, generated }) => !generated && !columns.includes(name) && !definition.key.includes(name),
  );
  return {
    definition,
    columns,
    mode,
    traits,
    numbered: autoIncrement === null || !definition.key.includes(autoIncrement) ? null : columns.indexOf(autoIncrement),
    token: rowToken(definition, plan.columns),
    defaults: mode === 'replace' ? others.map(({ name }) => name).filter((name) => name !== autoIncrement) : [],
    updatesTogether: !traits.insertTriggers && !traits.checks && plan.required.every((name) => columns.includes(name)),
  };
}

/** tooLong: rows that could not be read back, and are not written. */
export async function writeRows(
  queries: Queries,
  context: RowsContext,
  rows: readonly InputRow[],
  tooLong: ReadonlySet<InputRow>,
): Promise<RowsIn> {
  const written = new Written();
  const others = tooLong.size === 0 ? rows : rows.filter((row) => !tooLong.has(row));
  if (context.mode === 'insert') await insertAll(queries, context, others, written);
  else await mergeAll(queries, context, others, written);
  for (const row of tooLong) written.refuse(row, unreadable(context.traits));
  return written.inOrder(rows);
}

class Written {
  readonly #accepted = new Map<InputRow, number | null>();
  readonly #refused = new Map<InputRow, RowFault>();

  accept(row: InputRow, generated: number | null): void {
    this.#refused.delete(row);
    this.#accepted.set(row, generated);
  }

  refuse(row: InputRow, fault: RowFault): void {
    this.#refused.set(row, fault);
  }

  /** Those refused so far, which may fit once their neighbours are in. */
  takeRefused(among: readonly InputRow[]): InputRow[] {
    return among.filter((row) => this.#refused.has(row));
  }

  inOrder(rows: readonly InputRow[]): RowsIn {
    const accepted: Accepted[] = [];
    const refused: { row: InputRow; fault: RowFault }[] = [];
    for (const row of rows) {
      const generated = this.#accepted.get(row);
      const fault = this.#refused.get(row);
      if (generated !== undefined) accepted.push({ row, generated });
      else if (fault !== undefined) refused.push({ row, fault });
    }
    return { accepted, refused };
  }
}

/** Rows for which MySQL draws the number and rows that bring it have statements of their own: only then are the numbers known. */
async function insertAll(
  queries: Queries,
  context: RowsContext,
  rows: readonly InputRow[],
  written: Written,
): Promise<void> {
  const draws = (row: InputRow): boolean => drawsNumber(context, row);
  for (let from = 0; from < rows.length;) {
    const first = rows[from];
    if (first === undefined) return;
    let to = from + 1;
    for (let next = rows[to]; next !== undefined && draws(next) === draws(first); next = rows[to]) to++;
    await insertRun(queries, context, rows.slice(from, to), draws(first), written);
    from = to;
  }
}

function drawsNumber({ numbered }: RowsContext, { values }: InputRow): boolean {
  return numbered !== null && (values[numbered] ?? null) === null;
}

async function insertRun(
  queries: Queries,
  context: RowsContext,
  rows: readonly InputRow[],
  draws: boolean,
  written: Written,
): Promise<void> {
  try {
    const { insertId } = await queries.run(fitting(insertRows(context, rows), context.traits));
    rows.forEach((row, i) => written.accept(row, draws ? insertId + i * context.traits.autoIncrementStep : null));
  } catch (error) {
    const fault = rowFault(error);
    if (fault === null) throw error;
    const [only] = rows;
    if (rows.length === 1 && only !== undefined) {
      if (context.mode !== 'insert' && !draws && isTakenKey(error)) await updateOne(queries, context, only, written);
      else written.refuse(only, fault);
      return;
    }
    const half = rows.length >> 1;
    await insertRun(queries, context, rows.slice(0, half), draws, written);
    await insertRun(queries, context, rows.slice(half), draws, written);
  }
}

/** upsert, replace: rows are found by their primary key alone, so another unique key never changes or removes another row. */
async function mergeAll(
  queries: Queries,
  context: RowsContext,
  rows: readonly InputRow[],
  written: Written,
): Promise<void> {
  const present = await lockPresent(queries, context, rows);
  for (const batch of withoutRepeats(context, rows)) {
    // A row whose number MySQL draws is a new one.
    const isPresent = (row: InputRow): boolean => isAmong(present, context.token(row, null));
    const [old, fresh] = [batch.filter(isPresent), batch.filter((row) => !isPresent(row))];
    await insertAll(queries, context, fresh, written);
    await updateAll(queries, context, old, written);
    // A value that one row gives up and another takes: the second try comes when both have moved.
    for (const row of written.takeRefused(batch)) {
      if (isPresent(row)) await updateOne(queries, context, row, written);
      else await insertRun(queries, context, [row], drawsNumber(context, row), written);
    }
    // A row that was refused is not there: a later one with its key is a new one again.
    const refused = new Set(written.takeRefused(fresh));
    for (const row of batch) {
      const key = context.token(row, null);
      if (key !== null && !refused.has(row)) present.add(key);
    }
  }
}

function isAmong(present: ReadonlySet<string>, key: string | null): boolean {
  return key !== null && present.has(key);
}

/** Rows in their order, cut wherever a key comes again. */
function withoutRepeats({ token }: RowsContext, rows: readonly InputRow[]): InputRow[][] {
  const batches: InputRow[][] = [];
  let seen = new Set<string>();
  for (const row of rows) {
    const key = token(row, null);
    if (batches.length === 0 || (key !== null && seen.has(key))) {
      batches.push([]);
      seen = new Set();
    }
    if (key !== null) seen.add(key);
    batches.at(-1)?.push(row);
  }
  return batches;
}

async function lockPresent(queries: Queries, context: RowsContext, rows: readonly InputRow[]): Promise<Set<string>> {
  const { definition } = context;
  if (rows.length === 0) return new Set();
  const found = await queries.rows(
    `SELECT CAST(${keyJson(definition, 't')} AS BINARY) FROM ${quoteTable(definition.database, definition.table)} t
        FORCE INDEX (PRIMARY) WHERE ${tuplesCondition(
          definition,
          keyTuples(
            context,
            rows.map((row) => ({ row, generated: null })),
          ),
        )} FOR UPDATE`,
  );
  return new Set(found.map((row) => keyToken(definition, asBytes(row[0]))));
}

async function updateAll(
  queries: Queries,
  context: RowsContext,
  rows: readonly InputRow[],
  written: Written,
): Promise<void> {
  const partial = ({ values }: InputRow): boolean => context.mode === 'upsert' && values.includes(undefined);
  const alone = context.updatesTogether ? rows.filter(partial) : rows;
  if (alone.length < rows.length)
    await updateTogether(
      queries,
      context,
      rows.filter((row) => !partial(row)),
      written,
    );
  for (const row of alone) await updateOne(queries, context, row, written);
}

async function updateTogether(
  queries: Queries,
  context: RowsContext,
  rows: readonly InputRow[],
  written: Written,
): Promise<void> {
  if (rows.length === 0) return;
  try {
    await queries.run(fitting(updateRows(context, rows, context.defaults), context.traits));
    for (const row of rows) written.accept(row, null);
  } catch (error) {
    const fault = rowFault(error);
    if (fault === null) throw error;
    const [only] = rows;
    if (rows.length === 1 && only !== undefined) {
      written.refuse(only, fault);
      return;
    }
    const half = rows.length >> 1;
    await updateTogether(queries, context, rows.slice(0, half), written);
    await updateTogether(queries, context, rows.slice(half), written);
  }
}

async function updateOne(queries: Queries, context: RowsContext, row: InputRow, written: Written): Promise<void> {
  const { definition, columns, mode } = context;
  const left = mode === 'replace' ? columns.filter((_, i) => row.values[i] === undefined) : [];
  const condition = atValues(keyColumns(definition), keyValues(definition, columns, row));
  const statement = updateRow(context, row, condition, [...context.defaults, ...left]);
  try {
    if (statement !== null) await queries.run(fitting(statement, context.traits));
    written.accept(row, null);
  } catch (error) {
    const fault = rowFault(error);
    if (fault === null) throw error;
    written.refuse(row, fault);
  }
}

function keyValues(definition: Definition, columns: readonly string[], { values }: InputRow): InputRow['values'] {
  return definition.key.map((name) => values[columns.indexOf(name)]);
}

/** Constants of each row's key, in key order. */
export function keyTuples(context: RowsContext, rows: readonly Accepted[]): string[][] {
  const columns = keyColumns(context.definition);
  const places = columns.map(({ name }) => context.columns.indexOf(name));
  return rows.map(({ row, generated }) =>
    columns.map((column, i) => keyLiteral(column, row.values[places[i] ?? -1] ?? generated)),
  );
}
