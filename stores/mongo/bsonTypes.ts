/** Which BSON a column's values can be, as `$jsonSchema` says it. Pure; the counterpart of toBson.ts, type by type. */
import type { Document } from 'mongodb';
import type { Column } from '../../core/definition.js';

/** Without the `null` of a nullable column. Undefined: anything may come, as in a JSON column. */
export function schemaOfColumn(column: Column): Document | undefined {
  switch (column.form ?? 'own') {
    case 'int64-string':
    case 'json-string':
      return { bsonType: 'string' };
    case 'datetime-date':
      return { bsonType: ['date', 'string'] };
    case 'tinyint1-boolean':
      return { bsonType: ['bool', 'int'] };
    case 'own':
      return ownSchema(column);
  }
}

function ownSchema(column: Column): Document | undefined {
  const { type, unsigned, precision, length, fsp, members } = column;
  switch (type) {
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'year':
      return { bsonType: 'int' };
    case 'int':
      return { bsonType: unsigned ? 'long' : 'int' };
    case 'bigint':
      return { bsonType: unsigned ? ['long', 'decimal'] : 'long' };
    case 'bit':
      if (precision === 1) return { bsonType: 'bool' };
      return { bsonType: precision === 64 ? ['long', 'decimal'] : 'long' };
    case 'decimal':
      return { bsonType: (precision ?? 0) > 34 ? 'string' : 'decimal' };
    case 'float':
    case 'double':
      return { bsonType: 'double' };
    case 'enum':
      // '' is what MySQL keeps of a value that it could not take.
      return { bsonType: 'string', enum: [...new Set([...members, ''])] };
    case 'set':
      return { bsonType: 'array', items: { bsonType: 'string', enum: [...members] } };
    case 'char':
    case 'varchar':
    case 'tinytext':
    case 'text':
    case 'mediumtext':
      return { bsonType: 'string', ...(length === null ? {} : { maxLength: length }) };
    case 'longtext':
    case 'time':
      return { bsonType: 'string' };
    case 'binary':
    case 'varbinary':
    case 'tinyblob':
    case 'blob':
    case 'mediumblob':
    case 'longblob':
      return { bsonType: 'binData' };
    case 'date':
      // A zero or impossible date stays text.
      return { bsonType: ['date', 'string'] };
    case 'datetime':
    case 'timestamp':
      return { bsonType: (fsp ?? 0) > 3 ? 'string' : ['date', 'string'] };
    case 'vector':
      return { bsonType: 'array', items: { bsonType: 'double' } };
    case 'json':
      return undefined;
    default:
      // The geometry types.
      return {
        bsonType: 'object',
        required: ['srid', 'wkb'],
        properties: { srid: { bsonType: ['int', 'long'] }, wkb: { bsonType: 'binData' } },
        additionalProperties: false,
      };
  }
}

/** The names of its types, for people. */
export function typesOfColumn(column: Column): string {
  const schema = schemaOfColumn(column);
  if (schema === undefined) return 'any';
  const types: unknown = schema['bsonType'];
  return Array.isArray(types) ? types.join(' or ') : String(types);
}
