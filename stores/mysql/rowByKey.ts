/**
 * One row's current row JSON, found by its key text: for changes whose image the trigger could not write. The index
 * narrows it down, the key text decides: under a case-insensitive collation another spelling is another key.
 */
import { keyColumns, type Column, type Definition } from '../../core/definition.js';
import { bytesOfPart, keyParts } from '../../core/keyText.js';
import { asBytesOrNull, asCount } from './cell.js';
import type { Queries } from './connection.js';
import { charactersLiteral } from './keyWalk.js';
import { quoteName, quoteTable } from './quote.js';
import { keyJson, largestImage, rowJson, sizeGuard } from './rowJson.js';

export type Found =
  | { readonly kind: 'row'; readonly after: Buffer }
  | { readonly kind: 'gone' }
  /** The row is there; its large columns alone have more bytes than were asked for. */
  | { readonly kind: 'too-large' }
  /** The row is there; MySQL makes no text of it that is longer than max_allowed_packet. */
  | { readonly kind: 'over-packet' };

/** most: bytes of the row's large columns (`sizeGuard`). A trigger takes fewer: it must not keep the application waiting. */
export async function readRowByKey(
  queries: Queries,
  definition: Definition,
  key: Buffer,
  most = largestImage,
): Promise<Found> {
  const columns = keyColumns(definition);
  const parts = keyParts(definition, key);
  const bytes = parts.map(bytesOfPart);
  const matches = columns.map((column, i) => {
    const hex = bytes[i] ?? null;
    return `t.${quoteName(column.name)} = ${hex === null ? valueOf(column) : charactersLiteral(column, hex)}`;
  });
  const bound = columns.flatMap((column, i) => ((bytes[i] ?? null) === null ? [textOf(column, parts[i] ?? '')] : []));
  const guard = sizeGuard(definition, 't', most) ?? 'FALSE';
  const image = rowJson(definition, 't', { guarded: false });
  const [row] = await queries.rows(
    `SELECT CAST(CASE WHEN ${guard} THEN NULL ELSE ${image} END AS BINARY),${guard} FROM ${quoteTable(definition.database, definition.table)} t
      WHERE ${matches.join(' AND ')} AND CAST(${keyJson(definition, 't')} AS BINARY) = ?`,
    [...bound, key],
  );
  if (row === undefined) return { kind: 'gone' };
  const after = asBytesOrNull(row[0] ?? null);
  if (after !== null) return { kind: 'row', after };
  return { kind: asCount(row[1]) === 1 ? 'too-large' : 'over-packet' };
}

/** How a bound text becomes a value of the column's type, exactly. */
function valueOf(column: Column): string {
  switch (column.type) {
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'int':
    case 'bigint':
    case 'year':
      return `CAST(? AS ${column.unsigned ? 'UNSIGNED' : 'SIGNED'})`;
    case 'bit':
      return 'CAST(? AS UNSIGNED)';
    case 'decimal':
      return `CAST(? AS DECIMAL(${column.precision ?? 65},${column.scale ?? 0}))`;
    case 'float':
    case 'double':
      return 'CAST(? AS DOUBLE)';
    case 'binary':
    case 'varbinary':
    case 'tinyblob':
    case 'blob':
    case 'mediumblob':
    case 'longblob':
      return 'FROM_BASE64(?)';
    default:
      return '?';
  }
}

function textOf(column: Column, text: string): string {
  if (column.type === 'bit' && column.precision === 1) return text === 'true' ? '1' : '0';
  // The session is in UTC, where MySQL wants no zone.
  return column.type === 'timestamp' ? text.replace(/Z$/, '') : text;
}
