/** Reads what the source's tables look like now: one statement for the whole database, so that it is one moment. */
import type { Column, Definition } from '../../core/definition.js';
import { asCount, asCountOrNull, asText, asTextOrNull, type Row } from './cell.js';
import { members } from './columnType.js';
import type { Queries } from './connection.js';
import type { TableFacts } from './eligibility.js';

const text = `
SELECT t.TABLE_NAME, t.ENGINE, s.SEQ_IN_INDEX,
       c.COLUMN_NAME, c.DATA_TYPE, c.COLUMN_TYPE, c.IS_NULLABLE, c.CHARACTER_MAXIMUM_LENGTH, c.NUMERIC_PRECISION,
       c.NUMERIC_SCALE, c.DATETIME_PRECISION, c.CHARACTER_SET_NAME, c.COLLATION_NAME, c.EXTRA, c.GENERATION_EXPRESSION
  FROM information_schema.TABLES t
  JOIN information_schema.COLUMNS c ON c.TABLE_SCHEMA = t.TABLE_SCHEMA AND c.TABLE_NAME = t.TABLE_NAME
  LEFT JOIN information_schema.STATISTICS s
    ON s.TABLE_SCHEMA = t.TABLE_SCHEMA AND s.TABLE_NAME = t.TABLE_NAME AND s.INDEX_NAME = 'PRIMARY'
   AND s.COLUMN_NAME = c.COLUMN_NAME
 WHERE t.TABLE_SCHEMA = ? AND t.TABLE_TYPE = 'BASE TABLE'`;

/** Every base table of the database, by name; with `table`, that one only. Empty for an unknown database. */
export async function readTables(queries: Queries, database: string, table?: string): Promise<TableFacts[]> {
  const order = ' ORDER BY t.TABLE_NAME, c.ORDINAL_POSITION';
  const rows =
    table === undefined
      ? await queries.rows(text + order, [database])
      : await queries.rows(`${text} AND t.TABLE_NAME = ?${order}`, [database, table]);
  const byTable = new Map<string, Row[]>();
  for (const row of rows) {
    const name = asText(row[0]);
    const columns = byTable.get(name);
    if (columns === undefined) byTable.set(name, [row]);
    else columns.push(row);
  }
  return [...byTable].map(([name, columns]) => ({
    definition: definition(database, name, columns),
    engine: asTextOrNull(columns[0]?.[1] ?? null) ?? 'none',
  }));
}

/** Seconds since 1970, whole ones, by table: a table that is renamed keeps it. */
export async function createdAt(
  queries: Queries,
  database: string,
  tables: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const rows = await queries.rows(
    `SELECT TABLE_NAME, CAST(UNIX_TIMESTAMP(CREATE_TIME) AS UNSIGNED) FROM information_schema.TABLES
      WHERE TABLE_SCHEMA = ? AND TABLE_NAME IN (?) AND CREATE_TIME IS NOT NULL`,
    [database, tables],
  );
  return new Map(rows.map((row) => [asText(row[0]), asCount(row[1])]));
}

function definition(database: string, table: string, rows: readonly Row[]): Definition {
  const inKey = rows.filter((row) => row[2] !== null);
  inKey.sort((a, b) => asCount(a[2]) - asCount(b[2]));
  return { database, table, columns: rows.map(column), key: inKey.map((row) => asText(row[3])) };
}

function column(row: Row): Column {
  const columnType = asText(row[5]);
  const listed = /^(?:enum|set)\(/.test(columnType);
  const extra = asTextOrNull(row[13] ?? null) ?? '';
  const generated = /\bGENERATED\b/.test(extra);
  return {
    name: asText(row[3]),
    type: asText(row[4]).toLowerCase(),
    columnType,
    nullable: asText(row[6]) === 'YES',
    unsigned: !listed && /\bunsigned\b/.test(columnType),
    zerofill: !listed && /\bzerofill\b/.test(columnType),
    length: asCountOrNull(row[7] ?? null),
    precision: asCountOrNull(row[8] ?? null),
    scale: asCountOrNull(row[9] ?? null),
    fsp: asCountOrNull(row[10] ?? null),
    charset: asTextOrNull(row[11] ?? null),
    collation: asTextOrNull(row[12] ?? null),
    generated,
    ...(generated ? { expression: unescaped(asText(row[14])) } : {}),
    invisible: /\bINVISIBLE\b/.test(extra),
    members: members(columnType),
  };
}

/** information_schema shows an expression as the inside of a text literal. */
function unescaped(text: string): string {
  return text.replaceAll(/\\(.)/gs, (_, escaped: string) => escapes[escaped] ?? escaped);
}

const escapes: Readonly<Record<string, string>> = { '0': '\0', n: '\n', r: '\r' };
