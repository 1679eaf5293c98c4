/** Holds collections against what their tables ask for: validators, mirrored indexes, and some documents as samples. */
import type { Db, Document } from 'mongodb';
import type { Column, Definition } from '../../core/definition.js';
import type { Disagreement, TableForm } from '../../core/tableForm.js';
import { schemaOfColumn, typesOfColumn } from './bsonTypes.js';
import { readTyped } from './element.js';
import { collectionForms, indexDifference, sameValidator, type CollectionForm } from './tableForms.js';
import { isOurs, validatorOf } from './validator.js';

type Found = Omit<Disagreement, 'table' | 'store'>;

export async function inspectTables(
  db: Db,
  tables: readonly TableForm[],
  samples: number,
): Promise<readonly Disagreement[]> {
  const there = await collectionForms(db);
  const all: Disagreement[] = [];
  for (const form of tables) {
    const { table, collection } = form.target;
    const found = there.get(collection);
    const differences =
      found === undefined
        ? [{ kind: 'collection', subject: collection, expected: 'a collection', found: 'none' } as const]
        : [
            ...validatorDifference(form, found),
            ...(await indexDifferences(db, form)),
            ...(await sampleDifferences(db, form, samples)),
          ];
    for (const difference of differences) all.push({ table, store: 'mongo', ...difference });
  }
  return all;
}

function validatorDifference({ definition, validators, target }: TableForm, found: CollectionForm): readonly Found[] {
  const { validator, action } = found;
  const none = validator === undefined || Object.keys(validator).length === 0;
  const what = none ? 'none' : isOurs(validator) ? 'one of another definition' : 'one that is not lockstep’s';
  const difference = (expected: string, is: string): readonly Found[] => [
    { kind: 'validator', subject: target.collection, expected, found: is },
  ];
  if (validators === 'off') return none || !isOurs(validator) ? [] : difference('none', 'one that lockstep made');
  if (!sameValidator(validator, validatorOf(definition))) return difference("the definition's", what);
  return action === validators ? [] : difference(`action ${validators}`, `action ${action}`);
}

async function indexDifferences(db: Db, { target, indexes }: TableForm): Promise<readonly Found[]> {
  if (indexes === null) return [];
  const { missing, stray } = await indexDifference(db, target.collection, indexes);
  return [
    ...missing.map(({ name }): Found => ({ kind: 'index', subject: name, expected: 'an index', found: 'none' })),
    ...stray.map((name): Found => ({ kind: 'index', subject: name, expected: 'none', found: 'an index' })),
  ];
}

/** The server itself says which of the samples do not fit; what does not is found here. */
async function sampleDifferences(
  db: Db,
  { definition, target }: TableForm,
  samples: number,
): Promise<readonly Found[]> {
  const misfits = await db
    .collection<Buffer>(target.collection, { raw: true })
    .aggregate<Buffer>([
      { $sample: { size: samples } },
      { $match: { $nor: [validatorOf(definition)] } },
      { $limit: 20 },
    ])
    .toArray();
  const found = new Map<string, Found>();
  for (const misfit of misfits) {
    for (const difference of misfitOf(definition, readTyped(misfit))) {
      found.set(`${difference.kind} ${difference.subject} ${difference.found}`, difference);
    }
  }
  return [...found.values()];
}

function misfitOf(definition: Definition, document: Document): readonly Found[] {
  const columns = new Map(definition.columns.map((column) => [column.name, column]));
  const found: Found[] = [];
  for (const [name, column] of columns) {
    if (name === '_id') continue;
    if (!Object.hasOwn(document, name)) {
      found.push({ kind: 'fields', subject: name, expected: typesOfColumn(column), found: 'no such field' });
      continue;
    }
    const type = typeOf(document[name]);
    if (fits(column, type)) continue;
    found.push({ kind: 'types', subject: name, expected: typesOfColumn(column), found: type });
  }
  for (const name of Object.keys(document)) {
    if (name === '_id' || columns.has(name)) continue;
    found.push({ kind: 'fields', subject: name, expected: 'no such field', found: typeOf(document[name]) });
  }
  const fallback: Found = { kind: 'types', subject: '_id', expected: 'as the definition says', found: 'another form' };
  return found.length > 0 ? found : [fallback];
}

function fits(column: Column, type: string): boolean {
  const schema = schemaOfColumn(column);
  if (schema === undefined || (type === 'null' && column.nullable)) return true;
  const types: unknown = schema['bsonType'];
  return Array.isArray(types) ? types.includes(type) : types === type;
}

const byClass: Readonly<Record<string, string>> = {
  Int32: 'int',
  Long: 'long',
  Double: 'double',
  Decimal128: 'decimal',
  Binary: 'binData',
  BSONRegExp: 'regex',
  ObjectId: 'objectId',
  Timestamp: 'timestamp',
};

/** Of a value that was read with its types kept. */
function typeOf(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'string') return 'string';
  if (typeof value === 'boolean') return 'bool';
  if (value instanceof Date) return 'date';
  if (Array.isArray(value)) return 'array';
  const kind = (value as { readonly _bsontype?: unknown })._bsontype;
  return typeof kind === 'string' ? (byClass[kind] ?? kind) : 'object';
}
