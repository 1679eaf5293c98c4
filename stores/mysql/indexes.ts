/** MySQL's secondary indexes as MongoDB could have them, and why it cannot have some. */
import type { Definition } from '../../core/definition.js';
import type { TableIndex } from '../../core/tableForm.js';
import { asText, asTextOrNull, type Row } from './cell.js';
import type { Queries } from './connection.js';

/** By table; the primary key is not among them. */
export async function readIndexes(
  queries: Queries,
  definitions: readonly Definition[],
): Promise<ReadonlyMap<string, readonly TableIndex[]>> {
  const [any] = definitions;
  if (any === undefined) return new Map();
  const rows = await queries.rows(
    `SELECT TABLE_NAME, INDEX_NAME, NON_UNIQUE, COLUMN_NAME, COLLATION, INDEX_TYPE, IS_VISIBLE
       FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND INDEX_NAME <> 'PRIMARY'
      ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX`,
    [any.database],
  );
  return new Map(
    definitions.map((definition) => {
      const own = rows.filter((row) => asText(row[0]) === definition.table);
      const names = [...new Set(own.map((row) => asText(row[1])))];
      const indexOf = (name: string): TableIndex =>
        tableIndex(
          definition,
          name,
          own.filter((row) => asText(row[1]) === name),
        );
      return [definition.table, names.map(indexOf)];
    }),
  );
}

function tableIndex(definition: Definition, name: string, rows: readonly Row[]): TableIndex {
  const columns = rows.flatMap((row) => {
    const column = asTextOrNull(row[3] ?? null);
    return column === null ? [] : [{ name: column, descending: asTextOrNull(row[4] ?? null) === 'D' }];
  });
  return {
    name,
    unique: Number(rows[0]?.[2]) === 0,
    columns,
    refusal: refusalOf(definition, rows, columns),
  };
}

function refusalOf(definition: Definition, rows: readonly Row[], columns: TableIndex['columns']): string | null {
  const kind = asText(rows[0]?.[5]);
  if (kind !== 'BTREE' && kind !== 'HASH') return `a ${kind} index has no counterpart`;
  if (asText(rows[0]?.[6]) === 'NO') return 'it is invisible';
  if (columns.length < rows.length) return 'it is on an expression';
  const odd = columns.find(({ name }) => name.includes('.') || name.startsWith('$'));
  if (odd !== undefined) return `MongoDB takes ${odd.name} for a path`;
  const captured = new Map(definition.columns.map((column) => [column.name, column]));
  const unknown = columns.find(({ name }) => !captured.has(name));
  if (unknown !== undefined) return `column ${unknown.name} is not captured`;
  // MongoDB refuses documents in which two fields of one index hold arrays.
  const arrays = columns.filter(({ name }) => captured.get(name)?.type === 'set');
  return arrays.length > 1 ? 'two of its columns are sets, which are arrays there' : null;
}
