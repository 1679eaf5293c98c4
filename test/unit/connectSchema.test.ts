import { expect, test } from 'vitest';
import { connectSchemas } from '../../core/connectSchema.js';
import { recordForm } from '../../core/envelope.js';
import { decodeHeader, encodeHeader, recordKeyText, type EventHeader } from '../../core/event.js';
import { column, definition } from '../support/storeRig.js';

interface Schema {
  readonly type: string;
  readonly name?: string;
  readonly optional?: boolean;
  readonly field?: string;
  readonly parameters?: Readonly<Record<string, string>>;
  readonly fields?: readonly Schema[];
  readonly items?: Schema;
}

function fieldOf(schema: Schema | undefined, name: string): Schema | undefined {
  return schema?.fields?.find(({ field }) => field === name);
}

test.each([
  [column('c', 'tinyint'), 'int16', undefined],
  [column('c', 'smallint'), 'int16', undefined],
  [column('c', 'smallint', { unsigned: true }), 'int32', undefined],
  [column('c', 'mediumint', { unsigned: true }), 'int32', undefined],
  [column('c', 'int'), 'int32', undefined],
  [column('c', 'int', { unsigned: true }), 'int64', undefined],
  [column('c', 'bigint'), 'int64', undefined],
  [column('c', 'bigint', { unsigned: true }), 'bytes', 'org.apache.kafka.connect.data.Decimal'],
  [column('c', 'year'), 'int32', 'io.debezium.time.Year'],
  [column('c', 'bit', { precision: 1 }), 'boolean', undefined],
  [column('c', 'bit', { precision: 63 }), 'int64', undefined],
  [column('c', 'bit', { precision: 64 }), 'bytes', 'org.apache.kafka.connect.data.Decimal'],
  [column('c', 'decimal', { precision: 65, scale: 30 }), 'string', undefined],
  [column('c', 'float'), 'float', undefined],
  [column('c', 'double'), 'double', undefined],
  [column('c', 'varchar'), 'string', undefined],
  [column('c', 'longtext'), 'string', undefined],
  [column('c', 'varbinary'), 'bytes', undefined],
  [column('c', 'longblob'), 'bytes', undefined],
  [column('c', 'date'), 'string', undefined],
  [column('c', 'datetime'), 'string', undefined],
  [column('c', 'time'), 'string', undefined],
  [column('c', 'timestamp'), 'string', 'io.debezium.time.ZonedTimestamp'],
  [column('c', 'enum', { members: ['a', 'b'] }), 'string', 'io.debezium.data.Enum'],
  [column('c', 'set', { members: ['a', 'b'] }), 'string', 'io.debezium.data.EnumSet'],
  [column('c', 'multipolygon'), 'struct', 'io.debezium.data.geometry.Geometry'],
  [column('c', 'vector'), 'array', 'io.debezium.data.FloatVector'],
  [column('c', 'json', { form: 'json-string' }), 'string', 'io.debezium.data.Json'],
  [column('c', 'bigint', { form: 'int64-string', unsigned: true }), 'string', undefined],
  [column('c', 'tinyint', { form: 'tinyint1-boolean' }), 'boolean', undefined],
  [column('c', 'datetime', { form: 'datetime-date' }), 'string', undefined],
])('a column of %o is %s %s', (typed, type, name) => {
  const schemas = connectSchemas(definition([column('id', 'int', { nullable: false }), typed]), 'p.shop.things');
  const value = JSON.parse(schemas!.value) as Schema;
  expect(value).toMatchObject({ type: 'struct', name: 'p.shop.things.Envelope', optional: false });
  for (const image of ['before', 'after']) {
    const row = fieldOf(value, image);
    expect(row).toMatchObject({ type: 'struct', name: 'p.shop.things.Value', optional: true });
    expect(fieldOf(row, 'id')).toEqual({ type: 'int32', optional: false, field: 'id' });
    const found = fieldOf(row, 'c');
    expect([found?.type, found?.name, found?.optional]).toEqual([type, name, true]);
  }
});

test('a JSON column with values is described by no schema: the table is written without', () => {
  expect(connectSchemas(definition([column('id', 'int'), column('c', 'json')]), 't')).toBeNull();
});

test('key text and after-image are slices of what lies beside a schema', () => {
  const table = definition([column('a', 'int'), column('b', 'varchar'), column('v', 'double')], ['b', 'a']);
  const source = { name: 'p', database: 'shop', table: 'things' };
  const form = recordForm(source, '1.2.3', connectSchemas(table, 'p.shop.things'));
  const keyText = Buffer.from('{"b":"}é","a":7}');
  const [before, after] = ['{"a":7,"b":"}é","v":0.5}', '{"a":7,"b":"}é","v":-1e300}'].map((text) => Buffer.from(text));
  const facts = { seq: 9, at: 1_700_000_000_000, publishedAt: 1_700_000_000_001 };
  const written = form.value({ ...facts, op: 'u', before: before!, after: after! });
  const value = JSON.parse(written.value.toString('utf8')) as { schema: Schema; payload: Record<string, unknown> };
  const plain = recordForm(source, '1.2.3', null).value({ ...facts, op: 'u', before: before!, after: after! });
  expect(Object.keys(value)).toEqual(['schema', 'payload']);
  expect(value.payload).toEqual(JSON.parse(plain.value.toString('utf8')));
  expect(written.value.subarray(written.afterStart, written.afterEnd)).toEqual(after);
  const key = form.key(keyText);
  expect(JSON.parse(key.toString('utf8'))).toMatchObject({
    schema: {
      type: 'struct',
      fields: [
        { type: 'string', field: 'b' },
        { type: 'int32', field: 'a' },
      ],
    },
    payload: { b: '}é', a: 7 },
  });
  const header: EventHeader = {
    op: 'u',
    seq: 9,
    ordinal: 4,
    at: 1_700_000_000_000.25,
    definition: 'd'.repeat(32),
    incarnation: 'i',
    afterStart: written.afterStart,
    afterEnd: written.afterEnd,
    keyStart: form.keyStart,
  };
  expect(decodeHeader(encodeHeader(header))).toEqual(header);
  expect(recordKeyText(key, header)).toEqual(keyText);
  expect(recordKeyText(keyText, { ...header, keyStart: 0 })).toEqual(keyText);
});
