/** The order in which several tables are loaded: whoever is named by a foreign key comes first. Pure. */
import { LockstepError } from './errors.js';

/** Tables with their parents first, else in the given order. Throws LS-INGEST-ORDER for tables that name each other. */
export function parentsFirst(
  tables: readonly string[],
  parents: ReadonlyMap<string, readonly string[]>,
): readonly string[] {
  const ordered: string[] = [];
  let left = [...tables];
  while (left.length > 0) {
    const ready = left.filter((table) => (parents.get(table) ?? []).every((parent) => !left.includes(parent)));
    if (ready.length === 0) {
      const message = `the foreign keys of ${left.join(', ')} name each other: no order fits them all`;
      throw new LockstepError('LS-INGEST-ORDER', message, { details: { tables: left } });
    }
    ordered.push(...ready);
    left = left.filter((table) => !ready.includes(table));
  }
  return ordered;
}
