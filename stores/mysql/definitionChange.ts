/** Whether rows written before a change of columns look the same after it in every store. Pure. */
import { keyColumns, type Column, type Definition } from '../../core/definition.js';
import { columnJson, keyPart } from './rowJson.js';

/** True when stores hold something else than they would after a copy under `now`. */
export function changesRows(before: Definition, now: Definition): boolean {
  return (
    before.columns.length !== now.columns.length ||
    before.key.join('\0') !== now.key.join('\0') ||
    before.columns.some((column, i) => {
      const later = now.columns[i];
      return later === undefined || looks(column) !== looks(later) || !extendsMembers(column, later);
    })
  );
}

/**
 * True when rows that lie in a store under their key before the change lie elsewhere after it, or when MongoDB would keep the
 * `_id` of the type that it was: only a delete moves them.
 */
export function changesKey(before: Definition, now: Definition): boolean {
  if (before.key.join('\0') !== now.key.join('\0')) return true;
  const earlier = keyColumns(before);
  return keyColumns(now).some((column, i) => {
    const old = earlier[i];
    return old === undefined || keyLooks(old) !== keyLooks(column);
  });
}

function keyLooks(column: Column): string {
  const { name, precision, scale, fsp, form } = column;
  return JSON.stringify([
    name,
    keyPart({ ...column, charset: null }, 't'),
    keyKind(column),
    precision,
    scale,
    fsp,
    form,
  ]);
}

/** Types whose values are one and the same in every store. */
function keyKind({ type, unsigned }: Column): string {
  if (/^(?:tiny|small|medium)int$|^year$/.test(type)) return 'int32';
  if (type === 'int') return unsigned ? 'int64' : 'int32';
  if (type === 'bigint') return 'int64';
  if (/^(?:var)?char$|text$|^enum$/.test(type)) return 'text';
  if (/^(?:var)?binary$|blob$/.test(type)) return 'bytes';
  return type;
}

/** Nullability, lengths and character sets change which values can come, not how those that are there look. */
function looks(column: Column): string {
  const json = columnJson({ ...column, nullable: true, charset: null }, 't');
  const { name, type, unsigned, precision, scale, fsp, form } = column;
  return JSON.stringify([name, json, type, unsigned, precision, scale, fsp, form]);
}

function extendsMembers(before: Column, now: Column): boolean {
  return before.members.every((member, i) => now.members[i] === member);
}
