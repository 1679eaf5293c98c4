/**
 * What differs between two definitions of a table, in words for people and for the schema topic. Pure. A rename is what
 * looks like one: MySQL does not tell it from a column that was dropped while another like it was added in its place.
 */
import type { Column, Definition } from './definition.js';

export type SchemaChange =
  /** Seen for the first time: when the pipeline was installed, or while it ran. */
  | { readonly kind: 'table-captured' }
  | { readonly kind: 'table-created' }
  /** Stands under both names. */
  | { readonly kind: 'table-renamed'; readonly from: string; readonly to: string }
  | { readonly kind: 'table-dropped' }
  /** Still there, and not captured any more; `reason` as `status` tells it. */
  | { readonly kind: 'table-left-out'; readonly reason: string }
  /** Its triggers were gone: another table came under this name, or somebody dropped them. */
  | { readonly kind: 'triggers-missing' }
  | { readonly kind: 'column-added'; readonly column: string; readonly type: string }
  | { readonly kind: 'column-dropped'; readonly column: string; readonly type: string }
  | { readonly kind: 'column-renamed'; readonly column: string; readonly from: string }
  | { readonly kind: 'column-changed'; readonly column: string; readonly before: string; readonly after: string }
  | { readonly kind: 'columns-reordered' }
  | { readonly kind: 'key-changed'; readonly before: readonly string[]; readonly after: readonly string[] };

/** In the order of the columns; empty when the definitions are equal. */
export function diffDefinitions(before: Definition, after: Definition): readonly SchemaChange[] {
  const renamed = renames(before, after);
  const nameBefore = (column: Column): string => renamed.get(column.name) ?? column.name;
  const old = new Map(before.columns.map((column) => [column.name, column]));
  const kept = new Set(after.columns.map(nameBefore));
  const changes: SchemaChange[] = [];
  for (const column of before.columns) {
    if (!kept.has(column.name)) {
      changes.push({ kind: 'column-dropped', column: column.name, type: column.columnType });
    }
  }
  for (const column of after.columns) {
    const earlier = old.get(nameBefore(column));
    const from = renamed.get(column.name);
    if (earlier === undefined) changes.push({ kind: 'column-added', column: column.name, type: column.columnType });
    else if (from !== undefined) changes.push({ kind: 'column-renamed', column: column.name, from });
    else changes.push(...columnChange(earlier, column));
  }
  const orderAfter = after.columns.map(nameBefore).filter((name) => old.has(name));
  const orderBefore = before.columns.map(({ name }) => name).filter((name) => kept.has(name));
  if (orderAfter.join('\0') !== orderBefore.join('\0')) changes.push({ kind: 'columns-reordered' });
  const keyAfter = after.key.map((name) => renamed.get(name) ?? name);
  if (keyAfter.join('\0') !== before.key.join('\0')) {
    changes.push({ kind: 'key-changed', before: before.key, after: after.key });
  }
  return changes;
}

/** New name → old name: a column that went and one that came, alike in everything else and behind the same neighbour. */
function renames(before: Definition, after: Definition): ReadonlyMap<string, string> {
  const namesBefore = new Set(before.columns.map(({ name }) => name));
  const namesAfter = new Set(after.columns.map(({ name }) => name));
  const found = new Map<string, string>();
  const taken = new Set<string>();
  for (const [i, column] of after.columns.entries()) {
    if (namesBefore.has(column.name)) continue;
    const neighbour = after.columns[i - 1]?.name;
    const place = neighbour === undefined ? undefined : (found.get(neighbour) ?? neighbour);
    const from = before.columns.find(
      (old, j) =>
        !namesAfter.has(old.name) &&
        !taken.has(old.name) &&
        before.columns[j - 1]?.name === place &&
        JSON.stringify({ ...old, name: '' }) === JSON.stringify({ ...column, name: '' }),
    );
    if (from === undefined) continue;
    found.set(column.name, from.name);
    taken.add(from.name);
  }
  return found;
}

type Aspect = (column: Column, other: Column) => string;

/** What of a column can change, each shown only where it did. */
const aspects: readonly Aspect[] = [
  ({ columnType }) => columnType,
  ({ charset, collation }) => (charset === null ? '' : `${charset} ${collation ?? ''}`.trim()),
  ({ nullable }) => (nullable ? 'NULL' : 'NOT NULL'),
  ({ generated, expression }) => (generated ? `generated as ${expression ?? '?'}` : 'stored as given'),
  ({ invisible }) => (invisible ? 'invisible' : 'visible'),
  ({ form }) => `form ${form ?? 'of the type'}`,
];

function columnChange(before: Column, after: Column): readonly SchemaChange[] {
  const changed = aspects.filter((aspect) => aspect(before, after) !== aspect(after, before));
  if (changed.length === 0) return [];
  const show = (column: Column, other: Column): string => changed.map((aspect) => aspect(column, other)).join(', ');
  return [{ kind: 'column-changed', column: before.name, before: show(before, after), after: show(after, before) }];
}

/** One clause for people. */
export function describeChange(change: SchemaChange): string {
  switch (change.kind) {
    case 'table-captured':
      return 'captured from here on';
    case 'table-created':
      return 'table created';
    case 'table-renamed':
      return `table renamed from ${change.from} to ${change.to}`;
    case 'table-dropped':
      return 'table dropped';
    case 'table-left-out':
      return `not captured any more: ${change.reason}`;
    case 'triggers-missing':
      return 'triggers were missing: another table under this name, or somebody dropped them';
    case 'column-added':
      return `column ${change.column} added (${change.type})`;
    case 'column-dropped':
      return `column ${change.column} dropped (${change.type})`;
    case 'column-renamed':
      return `column ${change.from} renamed to ${change.column}`;
    case 'column-changed':
      return `column ${change.column} changed from ${change.before || 'none'} to ${change.after || 'none'}`;
    case 'columns-reordered':
      return 'columns reordered';
    case 'key-changed':
      return `key changed from (${change.before.join(', ')}) to (${change.after.join(', ')})`;
  }
}

export function describeChanges(changes: readonly SchemaChange[]): string {
  return changes.map(describeChange).join('; ');
}
