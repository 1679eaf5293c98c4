/**
 * What follows from a change of a captured table, by policy. `evolve`: triggers and stores follow. `pause`: capture follows,
 * the stores leave the table alone until it is resumed. `ignore`: nothing that is stored is touched, and new columns stay out.
 * Pure.
 */
import type { Config } from './config.js';
import type { Definition } from './definition.js';

export const schemaPolicies = ['evolve', 'pause', 'ignore'] as const;
export type SchemaPolicy = (typeof schemaPolicies)[number];

/** What came of a change. */
export type Consequence =
  /** The table is copied, again or for the first time. */
  | 'copy'
  /** Rows look the same as before: triggers and validators follow, nothing is copied. */
  | 'none'
  /** The stores leave the table alone until `resume`. */
  | 'paused'
  | 'ignored'
  /** It is not captured any more; what the stores hold of it stays. */
  | 'forgotten';

export function policyOf(table: string, config: Pick<Config, 'schema' | 'overrides'>): SchemaPolicy {
  const override = Object.hasOwn(config.overrides, table) ? config.overrides[table] : undefined;
  return override?.schema?.policy ?? config.schema?.policy ?? 'evolve';
}

/**
 * Under `ignore`, what is captured of the table as it is now: the columns that were captured before, as they are now, and
 * those of the key.
 */
export function keptDefinition(source: Definition, captured: Definition): Definition {
  const known = new Set([...captured.columns.map(({ name }) => name), ...source.key]);
  if (source.columns.every(({ name }) => known.has(name))) return source;
  return { ...source, columns: source.columns.filter(({ name }) => known.has(name)) };
}
