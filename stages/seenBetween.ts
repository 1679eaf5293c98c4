/**
 * Tables of which the pass over their rows has seen everything that a store holds, with the definition they had then: an
 * order that was altered since says nothing.
 */
import type { StoreName } from '../core/store.js';
import { readFinishedChunks } from '../stores/mysql/sweepChunks.js';
import { readSweepTables } from '../stores/mysql/sweepTables.js';
import type { SweepContext } from './sweepContext.js';

export async function seenBetween(
  { mysql, stateDatabase }: Pick<SweepContext, 'mysql' | 'stateDatabase'>,
  sweep: string,
  store: StoreName,
): Promise<ReadonlyMap<string, string>> {
  const chunks = (await readFinishedChunks(mysql, stateDatabase, sweep)).filter(({ pass }) => pass === 'rows');
  const tables = (await readSweepTables(mysql, stateDatabase, sweep)).filter(({ state, cutAll, name, chunks: cut }) => {
    const own = chunks.filter((one) => one.name === name);
    const whole = state !== 'left-out' && cutAll && own.length === cut;
    return whole && own.every(({ counts }) => counts.between?.includes(store) === true);
  });
  return new Map(tables.flatMap(({ name, definition }) => (definition === null ? [] : [[name, definition] as const])));
}
