/** Where a table lands in the stores: names by rule, the rest by the configuration's overrides. */
import type { Config } from './config.js';
import { collectionName } from './names.js';
import type { Target } from './store.js';

export function targetOf(table: string, config: Pick<Config, 'overrides'>): Target {
  const override = Object.hasOwn(config.overrides, table) ? config.overrides[table] : undefined;
  return {
    table,
    collection: override?.mongo?.collection ?? collectionName(table),
    redis: { layout: override?.redis?.layout ?? 'json', ttlMs: override?.redis?.ttlMs ?? null },
  };
}
