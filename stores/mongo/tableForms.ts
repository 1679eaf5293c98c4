/**
 * Brings collections to what their tables ask for besides rows: that they are there, their validators, and mirrored indexes.
 * Looks at what is there instead of remembering it. What cannot be done is told and tried again; it never concerns the rows.
 */
import type { CollectionInfo, Db, Document } from 'mongodb';
import type { TableForm, TableIndex, Unprepared } from '../../core/tableForm.js';
import { mongoError, serverCode } from './client.js';
import { ensureCollection } from './collections.js';
import { isOurs, validatorOf } from './validator.js';

/** A collection that transactions hold is tried again at the next look. */
const lockWaitMs = 2_000;
/** A large collection's index is built while the next looks go on. */
const buildWaitMs = 2_000;
/** LockTimeout, LockBusy, MaxTimeMSExpired. */
const lockCodes = new Set([24, 46, 50]);
const indexPrefix = 'lockstep_';

export interface CollectionForm {
  readonly validator: Document | undefined;
  readonly action: string;
}

/** By name; views are left out. */
export async function collectionForms(db: Db): Promise<ReadonlyMap<string, CollectionForm>> {
  const forms = new Map<string, CollectionForm>();
  for await (const { name, options } of db.listCollections<CollectionInfo>({ type: 'collection' })) {
    const validator = options?.validator as Document | undefined;
    forms.set(name, { validator, action: String(options?.['validationAction'] ?? 'error') });
  }
  return forms;
}

/** building: index builds that were begun and not waited for, by collection. */
export async function prepareTables(
  db: Db,
  tables: readonly TableForm[],
  building: Map<string, Promise<void>>,
): Promise<readonly Unprepared[]> {
  const found = await collectionForms(db);
  const unprepared: Unprepared[] = [];
  for (const form of tables) {
    const { table, collection } = form.target;
    try {
      if (!found.has(collection)) await ensureCollection(db, collection);
      await prepareValidator(db, form, found.get(collection));
      if (form.indexes !== null) await prepareIndexes(db, form, form.indexes, building);
    } catch (error) {
      const failure = mongoError(error, `prepare collection ${collection}`);
      if (failure.code === 'LS-MONGO-UNREACHABLE') throw failure;
      unprepared.push({ table, reason: failure.message, held: lockCodes.has(serverCode(error) ?? 0) });
    }
  }
  return unprepared;
}

async function prepareValidator(db: Db, form: TableForm, found: CollectionForm | undefined): Promise<void> {
  const { collection } = form.target;
  if (found?.validator !== undefined && !isEmpty(found.validator) && !isOurs(found.validator)) return;
  const wanted = form.validators === 'off' ? {} : validatorOf(form.definition);
  const action = form.validators === 'warn' ? 'warn' : 'error';
  if (sameValidator(found?.validator, wanted) && (isEmpty(wanted) || found?.action === action)) return;
  if (!isEmpty(wanted)) await proveBypass(db, collection);
  await db.command({
    collMod: collection,
    validator: wanted,
    validationLevel: 'strict',
    validationAction: action,
    maxTimeMS: lockWaitMs,
  });
}

/** Whoever may set a validator may usually pass it by as well; if not, it would stop apply. Touches no document. */
async function proveBypass(db: Db, collection: string): Promise<void> {
  await db.command({
    update: collection,
    updates: [{ q: { _id: { $in: [] } }, u: { $set: { lockstep: 0 } } }],
    bypassDocumentValidation: true,
  });
}

export function sameValidator(found: Document | undefined, wanted: Document): boolean {
  return JSON.stringify(found ?? {}) === JSON.stringify(wanted);
}

function isEmpty(validator: Document): boolean {
  return Object.keys(validator).length === 0;
}

async function prepareIndexes(
  db: Db,
  { target }: TableForm,
  indexes: readonly TableIndex[],
  building: Map<string, Promise<void>>,
): Promise<void> {
  const { collection } = target;
  if (building.has(collection)) return;
  const { missing, stray } = await indexDifference(db, collection, indexes);
  for (const name of stray) await db.collection(collection).dropIndex(name, { maxTimeMS: lockWaitMs });
  if (missing.length === 0) return;
  let failure: Error | undefined;
  const build = db
    .command({ createIndexes: collection, indexes: missing.map(({ name, key }) => ({ name, key })) })
    .then(
      () => undefined,
      (error: unknown) => {
        failure = mongoError(error, `build indexes on ${collection}`);
      },
    )
    .finally(() => building.delete(collection));
  building.set(collection, build);
  await Promise.race([build, new Promise((resolve) => setTimeout(resolve, buildWaitMs).unref())]);
  // A failure after the wait shows again at the next look, which finds the index missing.
  if (failure !== undefined) throw failure;
}

interface MirroredIndex {
  readonly name: string;
  readonly key: Readonly<Record<string, 1 | -1>>;
}

/** `missing`: to be built. `stray`: names of ours that MySQL has no more. */
export async function indexDifference(
  db: Db,
  collection: string,
  indexes: readonly TableIndex[],
): Promise<{ readonly missing: readonly MirroredIndex[]; readonly stray: readonly string[] }> {
  const there = await listIndexes(db, collection);
  const wanted = indexes.filter(({ refusal }) => refusal === null).map(mirrored);
  const keys = new Set(there.map(({ key }) => JSON.stringify(Object.entries(key))));
  const wantedKeys = new Map(wanted.map((index) => [JSON.stringify(Object.entries(index.key)), index]));
  return {
    // Several of MySQL's may come to one, and a user may have made it.
    missing: [...wantedKeys].filter(([key]) => !keys.has(key)).map(([, index]) => index),
    stray: there
      .filter(({ name, key }) => name.startsWith(indexPrefix) && !wantedKeys.has(JSON.stringify(Object.entries(key))))
      .map(({ name }) => name),
  };
}

async function listIndexes(db: Db, collection: string): Promise<readonly { name: string; key: Document }[]> {
  try {
    const found = (await db.collection(collection).listIndexes().toArray()) as { name: string; key: Document }[];
    return found.map(({ name, key }) => ({ name, key }));
  } catch (error) {
    // NamespaceNotFound
    if (serverCode(error) === 26) return [];
    throw error;
  }
}

function mirrored({ name, columns }: TableIndex): MirroredIndex {
  return {
    name: `${indexPrefix}${name}`,
    key: Object.fromEntries(columns.map((column) => [column.name, column.descending ? -1 : 1])),
  };
}
