/**
 * Tells which row that MySQL returned belongs to which row of the file: both become the same token of their key. Pure.
 */
import { keyColumns, type Column, type Definition } from './definition.js';
import type { GivenColumn, InputRow, InputValue } from './ingest.js';
import { keyParts } from './keyText.js';

/** The token of a row's key; `generated` is the number that MySQL drew for it. Null where a part is missing. */
export type RowToken = (row: InputRow, generated: number | null) => string | null;

export function rowToken(definition: Definition, given: readonly GivenColumn[]): RowToken {
  const parts = keyColumns(definition).map((column) => ({
    column,
    at: given.findIndex(({ name }) => name === column.name),
  }));
  return ({ values }, generated) => {
    let token = '';
    for (const { column, at } of parts) {
      const value = values[at] ?? generated;
      if (value === null) return null;
      token += `${tokenOf(column, value)}\0`;
    }
    return token;
  };
}

/** The token of key text `{"pk1":…}` as MySQL wrote it. */
export function keyToken(definition: Definition, key: Buffer): string {
  const columns = keyColumns(definition);
  return keyParts(definition, key)
    .map((part, i) => {
      const column = columns[i];
      return column === undefined ? part : `${tokenOf(column, part)}\0`;
    })
    .join('');
}

/** value: as the file gives it, checked, or as a part of key text. */
export function tokenOf(column: Column, value: Exclude<InputValue, null | undefined>): string {
  switch (column.type) {
    case 'bit':
      return value === 'true' ? '1' : value === 'false' ? '0' : String(value);
    case 'year':
      return String(Number(value));
    case 'decimal':
      return plainDecimal(String(value));
    case 'float':
      return plainNumber(Math.fround(Number(value)));
    case 'double':
      return plainNumber(Number(value));
    case 'datetime':
    case 'timestamp':
      return withoutZeros(String(value).replace('T', ' ').replace(/Z$/, ''));
    case 'time':
      return withoutZeros(String(value));
    case 'char':
      return String(value).replace(/ +$/, '');
    case 'binary':
      return Buffer.isBuffer(value) ? padded(value, column.length ?? 0).toString('base64') : String(value);
    default:
      return Buffer.isBuffer(value) ? value.toString('base64') : String(value);
  }
}

/** −0 and 0 are one key. */
function plainNumber(value: number): string {
  return value === 0 ? '0' : String(value);
}

function plainDecimal(text: string): string {
  const [, sign = '', whole = '', fraction = ''] = /^([+-]?)0*(\d*)(?:\.(\d*?)0*)?$/.exec(text) ?? [];
  const digits = `${whole === '' ? '0' : whole}${fraction === '' ? '' : `.${fraction}`}`;
  return sign === '-' && digits !== '0' ? `-${digits}` : digits;
}

function withoutZeros(time: string): string {
  return time.replace(/\.(\d*?)0*$/, (_, digits: string) => (digits === '' ? '' : `.${digits}`));
}

/** MySQL fills BINARY(n) with zero bytes. */
function padded(bytes: Buffer, length: number): Buffer {
  return bytes.length >= length ? bytes : Buffer.concat([bytes, Buffer.alloc(length - bytes.length)]);
}
