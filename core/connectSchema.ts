/**
 * What `{schema, payload}` says of a table: the schemas of Kafka Connect's JsonConverter, made from the definition, so that
 * row JSON as it stands is a payload that conforms to them. A column's semantic name is Debezium's where the value is
 * written as Debezium writes it, and absent where only the literal type agrees.
 */
import { keyColumns, type Column, type Definition } from './definition.js';

export interface ConnectSchemas {
  /** JSON texts. */
  readonly key: string;
  readonly value: string;
}

/** A schema without the facts of the place where it stands. */
interface Shape {
  readonly type: string;
  readonly name?: string;
  readonly version?: number;
  readonly parameters?: Readonly<Record<string, string>>;
  readonly fields?: readonly object[];
  readonly items?: object;
}

/** Null for a table with a column that no schema of Connect describes: a JSON value may be of any type. */
export function connectSchemas(definition: Definition, topic: string): ConnectSchemas | null {
  const row: object[] = [];
  for (const column of definition.columns) {
    const shape = shapeOf(column);
    if (shape === null) return null;
    row.push({ ...shape, optional: column.nullable, field: column.name });
  }
  const key = keyColumns(definition).map((column) => ({ ...shapeOf(column), optional: false, field: column.name }));
  const image = (field: string): object => struct(row, { name: `${topic}.Value`, optional: true, field });
  const fields = [image('before'), image('after'), source, transaction, ...facts];
  return {
    key: JSON.stringify(struct(key, { name: `${topic}.Key`, optional: false })),
    // Debezium's own transformations know an envelope by the end of its name.
    value: JSON.stringify(struct(fields, { name: `${topic}.Envelope`, version: 1, optional: false })),
  };
}

function struct(fields: readonly object[], rest: object): object {
  return { type: 'struct', fields, ...rest };
}

function field(type: string, name: string, optional: boolean): object {
  return { type, optional, field: name };
}

const source = struct(
  [
    field('string', 'version', false),
    field('string', 'connector', false),
    field('string', 'name', false),
    field('string', 'db', false),
    field('string', 'table', false),
    field('int64', 'ts_ms', false),
    {
      type: 'string',
      optional: true,
      name: 'io.debezium.data.Enum',
      version: 1,
      parameters: { allowed: 'true,false' },
      default: 'false',
      field: 'snapshot',
    },
    field('int64', 'seq', false),
  ],
  { optional: false, name: 'lockstep.Source', field: 'source' },
);

/** Never filled: a transaction of MySQL is not kept together across keys. */
const transaction = struct(
  [field('string', 'id', false), field('int64', 'total_order', false), field('int64', 'data_collection_order', false)],
  { optional: true, name: 'event.block', version: 1, field: 'transaction' },
);

const facts = [field('string', 'op', false), field('int64', 'ts_ms', true)];

const string: Shape = { type: 'string' };

/** A whole number of more than 63 bits: exact, and a number in JSON all the same. */
const wide: Shape = {
  type: 'bytes',
  name: 'org.apache.kafka.connect.data.Decimal',
  version: 1,
  parameters: { scale: '0', 'connect.decimal.precision': '20' },
};

const geometry: Shape = {
  type: 'struct',
  fields: [field('int32', 'srid', true), field('bytes', 'wkb', false)],
  name: 'io.debezium.data.geometry.Geometry',
  version: 1,
};

function shapeOf(column: Column): Shape | null {
  if (column.form === 'int64-string') return string;
  if (column.form === 'json-string') return { type: 'string', name: 'io.debezium.data.Json', version: 1 };
  if (column.form === 'tinyint1-boolean') return { type: 'boolean' };
  return ownShapeOf(column);
}

function ownShapeOf(column: Column): Shape | null {
  switch (column.type) {
    case 'tinyint':
      return { type: 'int16' };
    case 'smallint':
      return { type: column.unsigned ? 'int32' : 'int16' };
    case 'mediumint':
      return { type: 'int32' };
    case 'int':
      return { type: column.unsigned ? 'int64' : 'int32' };
    case 'bigint':
      return column.unsigned ? wide : { type: 'int64' };
    case 'year':
      return { type: 'int32', name: 'io.debezium.time.Year', version: 1 };
    case 'bit':
      if (column.precision === 1) return { type: 'boolean' };
      return (column.precision ?? 64) < 64 ? { type: 'int64' } : wide;
    case 'float':
      return { type: 'float' };
    case 'double':
      return { type: 'double' };
    case 'binary':
    case 'varbinary':
    case 'tinyblob':
    case 'blob':
    case 'mediumblob':
    case 'longblob':
      return { type: 'bytes' };
    case 'timestamp':
      return { type: 'string', name: 'io.debezium.time.ZonedTimestamp', version: 1 };
    case 'enum':
      return { type: 'string', name: 'io.debezium.data.Enum', version: 1, parameters: allowed(column) };
    case 'set':
      return { type: 'string', name: 'io.debezium.data.EnumSet', version: 1, parameters: allowed(column) };
    case 'vector':
      return {
        type: 'array',
        items: { type: 'float', optional: false },
        name: 'io.debezium.data.FloatVector',
        version: 1,
      };
    case 'json':
      return null;
    case 'geometry':
    case 'point':
    case 'linestring':
    case 'polygon':
    case 'multipoint':
    case 'multilinestring':
    case 'multipolygon':
    case 'geomcollection':
    case 'geometrycollection':
      return geometry;
    default:
      // Text; and DECIMAL, DATE, TIME and DATETIME, which row JSON holds as text.
      return string;
  }
}

function allowed({ members }: Column): Readonly<Record<string, string>> {
  return { allowed: members.join(',') };
}
