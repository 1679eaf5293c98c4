/** Row JSON of every type: the same bytes from triggers and from SELECT, whatever the writer's session is set to. */
import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { readTables } from '../../stores/mysql/definitions.js';
import { keyJson, rowJson } from '../../stores/mysql/rowJson.js';
import { asText } from '../../stores/mysql/cell.js';
import { createRig, type Rig } from './mysqlRig.js';

/** Column type, SQL value, the JSON text it must give. */
const cases: readonly (readonly [string, string, string])[] = [
  ['TINYINT', '-128', '-128'],
  ['TINYINT(1)', '1', '1'],
  ['SMALLINT UNSIGNED', '65535', '65535'],
  ['MEDIUMINT', '-8388608', '-8388608'],
  ['INT', '-2147483648', '-2147483648'],
  ['INT(8) ZEROFILL', '42', '42'],
  ['BIGINT', '-9223372036854775808', '-9223372036854775808'],
  ['BIGINT UNSIGNED', '18446744073709551615', '18446744073709551615'],
  ['BIGINT UNSIGNED ZEROFILL', '7', '7'],
  ['YEAR', '1901', '1901'],
  ['YEAR', "'0000'", '0'],
  [
    'DECIMAL(65,30)',
    "'-12345678901234567890123456789012345.123456789012345678901234567890'",
    '"-12345678901234567890123456789012345.123456789012345678901234567890"',
  ],
  ['DECIMAL(10,2)', '1.5', '"1.50"'],
  ['DECIMAL(10,2) ZEROFILL', '1.5', '"1.50"'],
  ['FLOAT', '0.1', '0.10000000149011612'],
  ['FLOAT', '16777216', '16777216.0'],
  ['FLOAT(10,3)', '1.1005', '1.1009999513626099'],
  ['DOUBLE', '0.1', '0.1'],
  ['DOUBLE', '1e300', '1e300'],
  ['DOUBLE', '-2.2250738585072014e-308', '-2.2250738585072014e-308'],
  ['DOUBLE(20,4)', '1.23456', '1.2346'],
  ['DOUBLE ZEROFILL', '1.5', '1.5'],
  ['BIT(1)', "b'1'", 'true'],
  ['BIT(1)', "b'0'", 'false'],
  ['BIT(64)', "b'1111111111111111111111111111111111111111111111111111111111111111'", '18446744073709551615'],
  ['BIT(9)', "b'101'", '5'],
  ['CHAR(5)', "_utf8mb4 X'C3A42009'", '"ä \\t"'],
  ['VARCHAR(20)', "_utf8mb4 X'F09F9880225C0A'", '"😀\\"\\\\\\n"'],
  ['VARCHAR(20) CHARACTER SET latin1', "_latin1 X'E4DF80'", '"äß€"'],
  ['VARCHAR(20) CHARACTER SET sjis', "_sjis X'955C835C'", '"表ソ"'],
  ['VARCHAR(20) CHARACTER SET gbk', "_gbk X'D5E2'", '"这"'],
  ['VARCHAR(20) CHARACTER SET ucs2', "_ucs2 X'886830BD'", '"表ソ"'],
  ['VARCHAR(20) CHARACTER SET utf16', "_utf16 X'D83DDE00'", '"😀"'],
  ['VARCHAR(20) CHARACTER SET utf16le', "_utf16le X'3DD800DE'", '"😀"'],
  ['VARCHAR(20) CHARACTER SET utf32', "_utf32 X'0001F600'", '"😀"'],
  ['VARCHAR(20) CHARACTER SET ascii', "'plain'", '"plain"'],
  // What Unicode has: `?` that are the row's own, a second code for a character, both backslashes.
  ['VARCHAR(20) CHARACTER SET ucs2', "'a?'", '"a?"'],
  ['VARCHAR(20) CHARACTER SET cp932', "_cp932 X'3FFA5B81E6'", '"?∵∵"'],
  ['VARCHAR(20) CHARACTER SET sjis', "_sjis X'5C815F'", '"\\\\\\\\"'],
  ['VARCHAR(20) CHARACTER SET gb18030', "_gb18030 X'8431A437'", '"\ufffd"'],
  // What it has not.
  ['VARCHAR(20) CHARACTER SET ucs2', "_ucs2 X'0041D8000042'", '{"charset":"ucs2","hex":"0041D8000042"}'],
  ['CHAR(20) CHARACTER SET ucs2', "_ucs2 X'D83DDE00'", '{"charset":"ucs2","hex":"D83DDE00"}'],
  ['VARCHAR(20) CHARACTER SET cp932', "_cp932 X'3F81AD'", '{"charset":"cp932","hex":"3F81AD"}'],
  ['TEXT CHARACTER SET gbk', "_gbk X'A140'", '{"charset":"gbk","hex":"A140"}'],
  ['MEDIUMTEXT CHARACTER SET cp1250', "_cp1250 X'6181'", '{"charset":"cp1250","hex":"6181"}'],
  ['VARCHAR(20) CHARACTER SET big5', "_big5 X'A15A'", '{"charset":"big5","hex":"A15A"}'],
  ['VARCHAR(20) CHARACTER SET tis620', "_tis620 X'A0'", '{"charset":"tis620","hex":"A0"}'],
  ['TINYTEXT', "'t'", '"t"'],
  ['TEXT', "''", '""'],
  ['MEDIUMTEXT', "REPEAT('m',300)", `"${'m'.repeat(300)}"`],
  ['LONGTEXT', "_utf8mb4 X'01'", '"\\u0001"'],
  ["ENUM('a','b''c','d\\\\e','ü')", "'d\\\\e'", '"d\\\\e"'],
  ["ENUM('a','b''c')", "'b''c'", '"b\'c"'],
  ["ENUM('a') CHARACTER SET binary", "'a'", '"a"'],
  ["SET('x','y','z')", "'z,x'", '"x,z"'],
  ["SET('x','y','z')", "''", '""'],
  ['BINARY(4)', "X'0001'", '"AAEAAA=="'],
  ['VARBINARY(300)', "REPEAT(X'FF',100)", `"${Buffer.alloc(100, 0xff).toString('base64')}"`],
  ['BLOB', "X'DEADBEEF'", '"3q2+7w=="'],
  ['TINYBLOB', "''", '""'],
  ['MEDIUMBLOB', "X'00'", '"AA=="'],
  ['LONGBLOB', "X'00FF'", '"AP8="'],
  ['DATE', "'2024-02-29'", '"2024-02-29"'],
  ['DATE', "'0000-00-00'", '"0000-00-00"'],
  ['DATETIME', "'2024-02-29 23:59:59'", '"2024-02-29T23:59:59"'],
  ['DATETIME(6)', "'9999-12-31 23:59:59.000001'", '"9999-12-31T23:59:59.000001"'],
  ['DATETIME', "'0000-00-00 00:00:00'", '"0000-00-00 00:00:00"'],
  ['DATETIME', "'2024-00-00 00:00:00'", '"2024-00-00 00:00:00"'],
  ['TIME(6)', "'-838:59:59.000000'", '"-838:59:59.000000"'],
  ['TIME', "'12:00:01'", '"12:00:01"'],
  [
    'JSON',
    `'{"b":1,"a":[1.10,18446744073709551615,null,"x"]}'`,
    '{"a": [1.1, 18446744073709551615, null, "x"], "b": 1}',
  ],
  ['JSON', "'null'", 'null'],
  ['JSON', `'"s"'`, '"s"'],
  [
    'POINT SRID 4326',
    "ST_GeomFromText('POINT(10 20)',4326,'axis-order=long-lat')",
    '{"srid":4326,"wkb":"AQEAAAAAAAAAAAAkQAAAAAAAADRA"}',
  ],
  [
    'GEOMETRY',
    "ST_GeomFromText('LINESTRING(0 0,1 1)')",
    '{"srid":0,"wkb":"AQIAAAACAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAPA/AAAAAAAA8D8="}',
  ],
  ['VECTOR(2)', "TO_VECTOR('[1,-2.5]')", '"AACAPwAAIMA="'],
];

/** Settings that an application's session may have; none may show in what is logged. */
const sessions: readonly (readonly [string, string])[] = [
  ['plain', "SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,ALLOW_INVALID_DATES'"],
  ['ansi', "SET time_zone = '+02:00', sql_mode = 'ANSI,PAD_CHAR_TO_FULL_LENGTH,ALLOW_INVALID_DATES'"],
  [
    'no escapes',
    "SET time_zone = '-03:30', sql_mode = 'PIPES_AS_CONCAT,REAL_AS_FLOAT,ALLOW_INVALID_DATES,HIGH_NOT_PRECEDENCE'",
  ],
  [
    'locale',
    "SET time_zone = '+13:00', sql_mode = 'ALLOW_INVALID_DATES', lc_time_names = 'de_DE', div_precision_increment = 0",
  ],
  [
    'latin1',
    "SET time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES', NAMES latin1, timestamp = 1000000000, group_concat_max_len = 4",
  ],
];

let rig: Rig;
let writer: Connection;

beforeAll(async () => {
  rig = await createRig();
  writer = await createConnection({ uri: inject('stack').mysql.uri, database: rig.source, charset: 'utf8mb4' });
  const columns = cases.map(([type], i) => `c${i} ${type} NULL`);
  await writer.query("SET sql_mode = ''");
  await writer.query(
    `CREATE TABLE every_type (id INT PRIMARY KEY, ${columns.join(', ')}, ts TIMESTAMP NULL, ts3 TIMESTAMP(3) NULL,
       v INT AS (id * 2) VIRTUAL, s INT AS (id * 3) STORED INVISIBLE)`,
  );
  await rig.install();
});

afterAll(async () => {
  await writer.end();
  await rig.drop();
});

/** Row JSON by SELECT, from a session of ours. */
async function selected(id: number): Promise<string> {
  const [facts] = await readTables(rig.mysql, rig.source, 'every_type');
  const definition = facts!.definition;
  const [row] = await rig.mysql.rows(
    `SELECT CAST(${rowJson(definition, 't')} AS BINARY) FROM ${rig.source}.every_type t WHERE id = ?`,
    [id],
  );
  return asText(row?.[0]);
}

test.for(sessions)(
  '%s: every type gives its text, the same by trigger and by SELECT',
  async ([, settings], { expect }) => {
    await rig.clearLog();
    await writer.query("SET sql_mode = '', NAMES utf8mb4, timestamp = DEFAULT");
    await writer.query(settings);
    const names = cases.map((_, i) => `c${i}`);
    const values = cases.map(([, value]) => value);
    await writer.query(`INSERT INTO every_type (id, ${names.join(', ')}) VALUES (1, ${values.join(', ')})`);
    await writer.query('INSERT INTO every_type (id) VALUES (2)');
    await writer.query('UPDATE every_type SET id = 1 WHERE id = 1');
    const [full, empty, updated] = await rig.log();
    const expected = cases.map(([, , json], i) => `"c${i}":${json}`).join(',');
    expect(full?.after).toBe(`{"id":1,${expected},"ts":null,"ts3":null,"v":2,"s":3}`);
    const nulls = cases.map((_, i) => `"c${i}":null`).join(',');
    expect(empty?.after).toBe(`{"id":2,${nulls},"ts":null,"ts3":null,"v":4,"s":6}`);
    expect(updated?.before).toBe(full?.after);
    expect(updated?.after).toBe(full?.after);
    expect(await selected(1)).toBe(full?.after);
    expect(await selected(2)).toBe(empty?.after);
    await writer.query('DELETE FROM every_type');
  },
);

test('TIMESTAMP is the instant in UTC, also in the hour that a zone has twice', async () => {
  await rig.clearLog();
  await writer.query("SET sql_mode = '', NAMES utf8mb4, timestamp = DEFAULT, time_zone = '+00:00'");
  await writer.query(
    "INSERT INTO every_type (id, ts, ts3) VALUES (1,'2024-10-27 00:30:00','2024-10-27 00:30:00.123'),(2,'2024-10-27 01:30:00',NULL),(3,'0000-00-00',NULL)",
  );
  await writer.query("SET time_zone = '+05:45'");
  await writer.query('UPDATE every_type SET c0 = 1');
  const tails = (await rig.log()).map((row) => /"ts":.*?,"ts3":[^,]*/.exec(row.after ?? '')?.[0]);
  const texts = [
    '"ts":"2024-10-27T00:30:00Z","ts3":"2024-10-27T00:30:00.123Z"',
    '"ts":"2024-10-27T01:30:00Z","ts3":null',
    '"ts":"0000-00-00 00:00:00","ts3":null',
  ];
  expect(tails).toEqual([...texts, ...texts]);
  await writer.query('DELETE FROM every_type');
});

test('the hour that a named zone has twice does not show', async () => {
  const zone = `lockstep/${rig.source}`;
  const id = await overlapZone(zone);
  try {
    await rig.clearLog();
    await writer.query("SET time_zone = '+00:00'");
    await writer.query("INSERT INTO every_type (id, ts) VALUES (1,'2024-10-27 00:30:00'),(2,'2024-10-27 01:30:00')");
    await writer.query('SET time_zone = ?', [zone]);
    const [local] = await writer.query<RowDataPacket[]>('SELECT CONCAT(ts) AS ts FROM every_type');
    expect(local.map((row) => String(row['ts']))).toEqual(['2024-10-27 02:30:00', '2024-10-27 02:30:00']);
    await writer.query('UPDATE every_type SET c0 = 1');
    const texts = (await rig.log()).map((row) => /"ts":"([^"]*)"/.exec(row.after ?? '')?.[1]);
    const [first, second] = ['2024-10-27T00:30:00Z', '2024-10-27T01:30:00Z'];
    expect(texts).toEqual([first, second, first, second]);
  } finally {
    await writer.query("SET time_zone = '+00:00'");
    for (const table of ['time_zone', 'time_zone_name', 'time_zone_transition', 'time_zone_transition_type']) {
      await rig.mysql.run(`DELETE FROM mysql.${table} WHERE Time_zone_id = ?`, [id]);
    }
  }
  await writer.query('DELETE FROM every_type');
});

/** A zone that goes from UTC+2 to UTC+1 on 2024-10-27 at 01:00 UTC: a fresh server knows no zone by name. */
async function overlapZone(name: string): Promise<number> {
  const { insertId } = await rig.mysql.run("INSERT INTO mysql.time_zone (Use_leap_seconds) VALUES ('N')");
  await rig.mysql.run('INSERT INTO mysql.time_zone_name (Name, Time_zone_id) VALUES (?, ?)', [name, insertId]);
  await rig.mysql.run('INSERT INTO mysql.time_zone_transition_type VALUES ?', [
    [
      [insertId, 0, 7200, 1, 'S'],
      [insertId, 1, 3600, 0, 'W'],
    ],
  ]);
  await rig.mysql.run('INSERT INTO mysql.time_zone_transition VALUES ?', [
    [
      [insertId, -2_000_000_000, 0],
      [insertId, 1_729_990_800, 1],
    ],
  ]);
  return insertId;
}

test('every code of every character set is its character or its bytes, and no two keys read alike', async () => {
  const sets = await rig.mysql.rows(
    "SELECT CHARACTER_SET_NAME, MAXLEN FROM information_schema.CHARACTER_SETS WHERE CHARACTER_SET_NAME NOT IN ('binary', 'utf32')",
  );
  const codes = (width: number, step: number): string =>
    `SELECT UNHEX(LPAD(HEX(i * ${step}), ${2 * width}, '0')) FROM
      (WITH RECURSIVE s (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < ${Math.floor((256 ** width - 1) / step)}) SELECT i FROM s) x`;
  const lossy: string[] = [];
  const session = await rig.mysql.session({ sqlMode: '' });
  try {
    await session.run('SET SESSION cte_max_recursion_depth = 100000');
    for (const [name, most] of sets) {
      const [charset, table] = [asText(name), `set_${asText(name)}`];
      await rig.run(
        `CREATE TABLE {src}.${table} (b VARBINARY(4), v VARCHAR(4) CHARACTER SET ${charset}, k VARCHAR(4) CHARACTER SET ${charset} COLLATE ${charset}_bin PRIMARY KEY)`,
      );
      // Of two bytes every seventh code, beginning elsewhere in each row of them.
      for (const from of [
        codes(1, 1),
        ...(Number(most) > 1 ? [codes(2, 7)] : []),
        ...(charset === 'gb18030' ? ["SELECT X'8431A437' UNION ALL SELECT X'8431A530'"] : []),
      ]) {
        await session.run(`INSERT IGNORE INTO ${rig.source}.${table} SELECT b.b, b.b, b.b FROM (${from}) b (b)`);
      }
      // What is no code of the set was cut.
      await session.run(`DELETE FROM ${rig.source}.${table} WHERE HEX(k) <> HEX(b)`);
      const [facts] = await readTables(rig.mysql, rig.source, table);
      const { definition } = facts!;
      const found = await rig.mysql.rows(
        `SELECT HEX(b), CAST(${rowJson(definition, 't')} AS BINARY), CAST(${keyJson(definition, 't')} AS BINARY) FROM ${rig.source}.${table} t`,
      );
      expect(found.length).toBeGreaterThan(100);
      expect(new Set(found.map(([, , key]) => asText(key))).size).toBe(found.length);
      const read = found.map(([hex, row]) => ({ hex: asText(hex), v: (JSON.parse(asText(row)) as { v: unknown }).v }));
      const marked = read.filter(({ v }) => typeof v !== 'string');
      expect(marked.map(({ v }) => v)).toEqual(marked.map(({ hex }) => ({ charset, hex })));
      if (marked.length > 0) lossy.push(charset);
      // Nothing is cut, nothing asked: `?` stands for itself, U+FFFD only where a set has it.
      const wrong = read.filter(({ hex, v }) => {
        if (typeof v !== 'string') return false;
        const asks = (hex.match(/../g) ?? []).filter((byte) => byte === '3F').length;
        const gaps = /^(?:utf|ucs2|gb18030)/.test(charset) ? 0 : v.split('\ufffd').length - 1;
        return v === '' ? hex !== '' : v.split('?').length - 1 > asks || gaps > 0;
      });
      expect([charset, wrong.slice(0, 5)]).toEqual([charset, []]);
    }
  } finally {
    session.destroy();
  }
  expect(lossy.toSorted().join(' ')).toBe(
    'big5 cp1250 cp1251 cp1256 cp1257 cp932 dec8 eucjpms euckr gb18030 gb2312 gbk geostd8 greek hebrew hp8 sjis swe7 tis620 ucs2 ujis',
  );
});

test('key JSON names the key columns in key order', async () => {
  await rig.run(
    'CREATE TABLE {src}.k (a INT, `b:"%` VARCHAR(9), c FLOAT, PRIMARY KEY (c, `b:"%`))',
    "INSERT INTO {src}.k VALUES (1,'x',-0e0)",
  );
  const [facts] = await readTables(rig.mysql, rig.source, 'k');
  const [row] = await rig.mysql.rows(`SELECT ${keyJson(facts!.definition, 't')} FROM ${rig.source}.k t`);
  expect(row?.[0]).toBe('{"c":0.0,"b:\\"%":"x"}');
});
