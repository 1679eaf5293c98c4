/** Whether rows written before a change of columns look the same after it in every store. Pure. */
import { keyColumns, type Column, type Definition } from '../../core/definition.js';
import { mayBeUndecodable } from '../../core/undecodable.js';
import { columnJson, keyPart } from './rowJson.js';

/** True when stores hold something else than they would after a copy under `now`. */
export function changesRows(before: Definition, now: Definition): boolean {
  return (
    before.columns.length !== now.columns.length ||
    before.key.join('\0') !== now.key.join('\0') ||
    before.columns.some((column, i) => {
      const later = now.columns[i];
      return later === undefined || looks(column) !== looks(later) || !holdsAll(column, later);
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

/** True when rows stand in another order of the key: a copy that is under way would go on at the wrong place. */
export function changesOrder(before: Definition, now: Definition): boolean {
  const earlier = keyColumns(before);
  return keyColumns(now).some(({ collation }, i) => earlier[i]?.collation !== collation);
}

function keyLooks(column: Column): string {
  const { name, precision, scale, fsp, form } = column;
  return JSON.stringify([
    name,
    keyPart({ ...column, charset: null }, 't'),
    keyKind(column),
    paddedTo(column),
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

function looks(column: Column): string {
  const json = columnJson({ ...column, nullable: true, charset: null }, 't');
  const { name, type, unsigned, precision, scale, fsp, form, expression } = column;
  return JSON.stringify([name, json, type, paddedTo(column), unsigned, precision, scale, fsp, form, expression]);
}

/** BINARY fills its values with zero bytes, which every store holds; another length is another value. */
function paddedTo({ type, length }: Column): number | null {
  return type === 'binary' ? length : null;
}

/**
 * Whether every value of before still fits. Where not, an ALTER in a session that is not strict has cut it, or made something
 * else of it, and no event tells; in a strict one it would have failed, which the definition does not tell.
 */
function holdsAll(before: Column, now: Column): boolean {
  return (
    before.members.every((member, i) => now.members[i] === member) &&
    (now.length ?? Infinity) >= (before.length ?? 0) &&
    (now.nullable || !before.nullable) &&
    (mayBeUndecodable(before) ? before.charset === now.charset : holdsCharacters(before.charset, now.charset))
  );
}

const all = new Set(['utf8mb4', 'utf16', 'utf16le', 'utf32', 'gb18030']);
/** All but those that take four bytes in UTF-8; no other character set has any of these. */
const most = new Set(['utf8mb3', 'ucs2']);

function holdsCharacters(before: string | null, now: string | null): boolean {
  if (before === null || now === null || before === now || before === 'ascii') return true;
  return all.has(now) || (most.has(now) && !all.has(before));
}
