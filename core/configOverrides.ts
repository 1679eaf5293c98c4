/** What lockstep.yaml says of single tables and columns: where they land, and in which form. */
import { z } from 'zod';
import type { TableOverride } from './config.js';
import { given, isOff } from './configServers.js';
import { duration, group, oneOf, scalar, text } from './configScalars.js';
import { formChoices, type FormSettings } from './forms.js';
import { schemaPolicies } from './schemaPolicy.js';

/** Checks a value by its schema, telling what is wrong with it; undefined then. */
export type Check = <T>(schema: z.ZodType<T>, value: unknown, path: string) => T | undefined;
export type Tell = (path: string, problem: string) => void;

const ttl = scalar<number | null>('a duration such as 30m or 1h, or off', (input) => {
  if (isOff(input)) return { value: null };
  const result = duration(1, 3_650 * 86_400_000, 'at most 3650d').safeParse(input);
  return result.success
    ? { value: result.data }
    : { wrong: typeof input === 'number' ? 'has no unit' : 'is no duration' };
});

const collection = text('a MongoDB collection name', (name) => {
  if (name.includes('$') || name.includes('\0')) return 'has a character that MongoDB does not allow ($)';
  if (name.startsWith('system.')) return 'begins with system., which MongoDB keeps for itself';
  return Buffer.byteLength(name) > 200 ? 'is longer than 200 bytes' : undefined;
});

/** How columns look: for the pipeline at the top of the file, for a table in its override, for a column below that. */
const forms = {
  int64: oneOf(...formChoices.int64).optional(),
  json: oneOf(...formChoices.json).optional(),
  datetime: oneOf(...formChoices.datetime).optional(),
  boolean: oneOf(...formChoices.boolean).optional(),
};
export const formNames = Object.keys(forms);

const columnForms = group(forms).transform((settings) => given(settings));

/** How the stores follow the tables' definitions: for all of them, or for one. */
const schemaChoices = {
  policy: oneOf(...schemaPolicies),
  validators: oneOf('error', 'warn', 'off'),
  indexes: oneOf('mirror', 'off'),
};

export const schemaSection = group({
  policy: schemaChoices.policy.default('evolve'),
  validators: schemaChoices.validators.default('error'),
  indexes: schemaChoices.indexes.default('off'),
}).prefault({});

const override = group({
  redis: group({ layout: oneOf('json', 'hash').optional(), ttl: ttl.optional() }).optional(),
  mongo: group({ collection: collection.optional() }).optional(),
  schema: group({
    policy: schemaChoices.policy.optional(),
    validators: schemaChoices.validators.optional(),
    indexes: schemaChoices.indexes.optional(),
  }).optional(),
  ...forms,
  columns: z.unknown().optional(),
}).transform(({ redis, mongo, schema, int64, json, datetime, boolean }): TableOverride =>
  given({
    redis: redis === undefined ? undefined : given({ layout: redis.layout, ttlMs: redis.ttl }),
    mongo: mongo === undefined ? undefined : given({ collection: mongo.collection }),
    schema: schema === undefined ? undefined : given(schema),
    ...overridden(given({ int64, json, datetime, boolean })),
  }),
);

function overridden(chosen: FormSettings): Pick<TableOverride, 'forms'> {
  return Object.keys(chosen).length === 0 ? {} : { forms: chosen };
}

export function checkOverrideShapes(raw: unknown, check: Check, tell: Tell): Record<string, TableOverride> | undefined {
  // Without a prototype: `overrides['constructor']` must be what the file says.
  const overrides = Object.create(null) as Record<string, TableOverride>;
  if (raw === undefined || raw === null) return overrides;
  if (typeof raw !== 'object' || Array.isArray(raw)) {
    tell(
      'overrides',
      'is no group of settings; allowed: table names, each with redis, mongo, schema, columns and forms such as int64',
    );
    return undefined;
  }
  for (const [table, value] of Object.entries(raw)) {
    const checked = check(override, value ?? {}, `overrides.${table}`);
    const columns = checkColumns((value as { readonly columns?: unknown } | null)?.columns, table, check, tell);
    if (checked !== undefined) overrides[table] = columns === undefined ? checked : { ...checked, columns };
  }
  return overrides;
}

/** A column may have any name, so its settings are not keys of a group. */
function checkColumns(
  raw: unknown,
  table: string,
  check: Check,
  tell: Tell,
): Readonly<Record<string, FormSettings>> | undefined {
  if (raw === undefined || raw === null) return undefined;
  const path = `overrides.${table}.columns`;
  if (typeof raw !== 'object' || Array.isArray(raw)) {
    tell(path, `is no group of settings; allowed: column names, each with ${formNames.join(', ')}`);
    return undefined;
  }
  const columns = Object.create(null) as Record<string, FormSettings>;
  for (const [name, value] of Object.entries(raw)) {
    const checked = check(columnForms, value ?? {}, `${path}.${name}`);
    if (checked !== undefined) columns[name] = checked;
  }
  return columns;
}

/** The pipeline's own choices. Undefined when one of them is wrong. */
export function checkForms(raw: Readonly<Record<string, unknown>>, check: Check): FormSettings | undefined {
  const chosen: Record<string, string> = {};
  for (const [name, schema] of Object.entries(forms)) {
    if (raw[name] === undefined || raw[name] === null) continue;
    const value = check<string | undefined>(schema, raw[name], name);
    if (value === undefined) return undefined;
    chosen[name] = value;
  }
  return chosen;
}

/** A JSON value may be of any type, which no schema of Kafka Connect describes. */
export function refuseJsonValues(
  forms: FormSettings | undefined,
  overrides: Readonly<Record<string, TableOverride>> | undefined,
  tell: Tell,
): void {
  const refuse = (settings: FormSettings | undefined, path: string): void => {
    if (settings?.json !== 'value') return;
    tell(path, 'is value, which no schema of Kafka Connect describes; allowed with kafka.envelope schema: string');
  };
  refuse(forms, 'json');
  for (const [table, override] of Object.entries(overrides ?? {})) {
    refuse(override.forms, `overrides.${table}.json`);
    for (const [column, settings] of Object.entries(override.columns ?? {})) {
      refuse(settings, `overrides.${table}.columns.${column}.json`);
    }
  }
}
