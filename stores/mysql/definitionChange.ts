/** Whether rows written before a change of columns look the same after it in every store. Pure. */
import type { Column, Definition } from '../../core/definition.js';
import { columnJson } from './rowJson.js';

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

/** Nullability, lengths and character sets change which values can come, not how those that are there look. */
function looks(column: Column): string {
  const json = columnJson({ ...column, nullable: true, charset: null }, 't');
  const { name, type, unsigned, precision, scale, fsp, form } = column;
  return JSON.stringify([name, json, type, unsigned, precision, scale, fsp, form]);
}

function extendsMembers(before: Column, now: Column): boolean {
  return before.members.every((member, i) => now.members[i] === member);
}
