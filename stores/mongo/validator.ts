/**
 * A table's definition as a `$jsonSchema` validator. It holds other writers to the documents that lockstep makes: apply itself
 * bypasses it, since events of an earlier definition may be on their way. Pure.
 */
import type { Document } from 'mongodb';
import { definitionHash, keyColumns, type Column, type Definition } from '../../core/definition.js';
import { idFieldName } from '../../core/names.js';
import { schemaOfColumn } from './bsonTypes.js';

const title = 'lockstep';

export function validatorOf(definition: Definition): Document {
  const columns = definition.columns.filter(({ name }) => name !== '_id');
  const plain = columns.filter(({ name }) => isPlain(name));
  const odd = columns.filter(({ name }) => !isPlain(name));
  return {
    $jsonSchema: {
      title,
      description: `table ${definition.table}, definition ${definitionHash(definition)}`,
      bsonType: 'object',
      required: ['_id', ...plain.map(({ name }) => name)],
      properties: { _id: idSchema(definition), ...Object.fromEntries(plain.map((c) => [c.name, schemaOf(c)])) },
      // A name with a dot, or that begins with a dollar, is a path to MongoDB everywhere but in a pattern.
      ...(odd.length === 0
        ? {}
        : { patternProperties: Object.fromEntries(odd.map((c) => [`^${escaped(c.name)}$`, schemaOf(c)])) }),
      additionalProperties: false,
    },
  };
}

/** Whether a validator was made here; another's is left alone. */
export function isOurs(validator: Document | undefined): boolean {
  const schema = validator?.['$jsonSchema'] as Document | undefined;
  return schema?.['title'] === title;
}

function schemaOf(column: Column): Document {
  const schema = schemaOfColumn(column);
  if (schema === undefined) return {};
  if (!column.nullable) return schema;
  const types: unknown = schema['bsonType'];
  const values = schema['enum'] as readonly unknown[] | undefined;
  return {
    ...schema,
    bsonType: [...(Array.isArray(types) ? (types as unknown[]) : [types]), 'null'],
    ...(values === undefined ? {} : { enum: [...values, null] }),
  };
}

function idSchema(definition: Definition): Document {
  const columns = keyColumns(definition).map((column) => ({ ...column, nullable: false }));
  const [single] = columns;
  // An array cannot be `_id`: a SET that is the whole key is the text that MySQL prints.
  if (columns.length === 1 && single !== undefined) {
    return single.type === 'set' ? { bsonType: 'string' } : schemaOf(single);
  }
  const names = columns.map(({ name }) => idFieldName(name));
  const plain = columns.filter((_, i) => isPlain(names[i] ?? ''));
  if (plain.length < columns.length) return { bsonType: 'object' };
  return {
    bsonType: 'object',
    required: names,
    properties: Object.fromEntries(columns.map((column, i) => [names[i] ?? '', schemaOf(column)])),
    additionalProperties: false,
  };
}

function isPlain(name: string): boolean {
  return !name.includes('.') && !name.startsWith('$');
}

function escaped(name: string): string {
  return name.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`);
}
