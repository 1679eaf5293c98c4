import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkOverrides } from '../../core/configChecks.js';
import { parseConfig } from '../../core/configFile.js';
import type { Config } from '../../core/config.js';
import { LockstepError } from '../../core/errors.js';

const contract = `
pipeline: shop                      # names workflows, topics, keys: [a-z0-9-]
mysql:    { uri: mysql://lockstep:\${MYSQL_PASSWORD}@127.0.0.1:3306/shop }
kafka:    { brokers: [127.0.0.1:9092], topicPrefix: shop }
mongo:    { uri: mongodb://127.0.0.1:27017, database: shop }
redis:    { uri: redis://127.0.0.1:6379, keyPrefix: shop }
temporal: { address: 127.0.0.1:7233, namespace: default }
tables:   { include: ['*'], exclude: [] }     # globs over base tables that have a primary key
overrides:
  customers: { redis: { layout: hash, ttl: 1h } }
`;

const env = { MYSQL_PASSWORD: 's3cret' };
const readSecret = (path: string): string => {
  if (path === '/run/secrets/pw') return 'from file\n';
  throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
};

function parse(text: string, environment: Record<string, string> = env): Config {
  return parseConfig(text, 'lockstep.yaml', { env: environment, readSecret });
}

/** What is wrong, one entry a mistake. */
function mistakesOf(text: string, environment: Record<string, string> = env): readonly string[] {
  try {
    parse(text, environment);
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error;
    if (error.code !== 'LS-CONFIG-INVALID' || error.message.includes('s3cret')) throw error;
    return error.details['mistakes'] as readonly string[];
  }
  return [];
}

/** The contract's file with one line replaced; an empty text leaves the line out. */
function withLine(key: string, line: string): string {
  return contract.replace(new RegExp(`^${key}:.*$`, 'm'), line);
}

describe('a right file', () => {
  it('is read as the contract shows it', () => {
    expect(parse(contract)).toEqual({
      pipeline: 'shop',
      mysql: {
        uri: 'mysql://lockstep:s3cret@127.0.0.1:3306',
        database: 'shop',
        stateDatabase: 'lockstep',
        tls: null,
      },
      kafka: {
        brokers: ['127.0.0.1:9092'],
        topicPrefix: 'shop',
        partitions: 4,
        replicationFactor: 1,
        minInsyncReplicas: 1,
        retentionMs: 604_800_000,
        maxMessageBytes: 33_554_432,
        envelope: 'plain',
        tls: null,
        sasl: null,
      },
      mongo: { uri: 'mongodb://127.0.0.1:27017', database: 'shop', stateDatabase: 'lockstep', tls: null },
      redis: { uri: 'redis://127.0.0.1:6379', keyPrefix: 'shop', tls: null },
      temporal: { address: '127.0.0.1:7233', namespace: 'default', tls: null, apiKey: null },
      tables: { include: ['*'], exclude: [] },
      overrides: { customers: { redis: { layout: 'hash', ttlMs: 3_600_000 } } },
      schema: { policy: 'evolve', validators: 'error', indexes: 'off' },
      forms: {},
      changeLog: { maxBytes: 10_737_418_240 },
      capture: { batchRows: 2000 },
      apply: { shards: 1 },
      snapshot: { chunkMs: 50, maxBacklogRows: 20_000, parallel: 2 },
      validate: {
        parallel: 2,
        rowsPerSecond: 100_000,
        rowsPerSecondBusy: 2_000,
        maxLagMs: 250,
        maxRunningThreads: 32,
        repair: { perMinute: 600, maxShare: 0.05 },
        schedules: {
          nightly: { when: { cron: '0 3 * * *' }, timeZone: 'UTC', tables: null, stores: null, repair: true },
        },
      },
      resync: { automatic: true },
      witness: true,
      verify: { sample: 1, repair: true },
    });
  });

  it.each([
    ['verify: off', { sample: 0, repair: false }],
    ['verify: { sample: 0.1, repair: false }', { sample: 0.1, repair: false }],
    ['verify: { sample: off }', { sample: 0, repair: true }],
  ])('%s', (line, verify) => {
    expect(parse(`${contract}${line}\n`).verify).toEqual(verify);
  });

  it('needs no more than servers and a name', () => {
    const config = parse(`
pipeline: a
mysql: { uri: mysql://root@localhost/shop }
kafka: { brokers: "k1:9092, k2:9092,k3:9092" }
mongo: { uri: mongodb://localhost }
redis: off
`);
    expect(config.kafka).toMatchObject({ topicPrefix: 'a', replicationFactor: 3, minInsyncReplicas: 2 });
    expect(config.mongo?.database).toBe('shop');
    expect(config.redis).toBeNull();
    expect(config.temporal.address).toBe('127.0.0.1:7233');
  });

  it.each(['p@ss/w:rd#1?', '%41', 'a b', '${X}', 'ü'])('takes the password %j of a URI literally', (password) => {
    const { uri } = parse(contract, { MYSQL_PASSWORD: password }).mysql;
    expect(decodeURIComponent(new URL(uri).password)).toBe(password);
  });

  it('takes users, TLS and SASL beside the URIs, under each client’s own names', () => {
    const config = parse(`
pipeline: shop
mysql: { uri: "mysql://db:3306/shop?ssl-mode=REQUIRED", user: u, password: "file:/run/secrets/pw", ssl: { ca: CA } }
kafka:
  brokers: [k:9093]
  ssl: true
  sasl: { mechanism: scram-sha-512, username: me, password: "\${MYSQL_PASSWORD}" }
mongo: { uri: "mongodb://a:1,b:2/?w=majority", database: m, auth: { username: x, password: "y z" }, authSource: admin, tlsCAFile: /ca.pem }
redis: { uri: "rediss://cache:6380/2", username: r, password: p }
temporal: { address: "t:7233", apiKey: "\${KEY:-k}" }
`);
    expect(config.mysql.uri).toBe('mysql://u:from%20file@db:3306/?ssl-mode=REQUIRED');
    expect(config.mysql.tls).toEqual({ ca: 'CA' });
    expect(config.kafka).toMatchObject({ tls: {}, sasl: { mechanism: 'scram-sha-512', password: 's3cret' } });
    expect(config.mongo?.uri).toBe('mongodb://x:y%20z@a:1,b:2/?w=majority&authSource=admin&tlsCAFile=%2Fca.pem');
    expect(config.redis).toMatchObject({ uri: 'rediss://r:p@cache:6380/2', tls: {} });
    expect(config.temporal).toMatchObject({ apiKey: 'k', tls: {} });
  });

  it('knows its own documentation’s example', () => {
    const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
    const example = /```yaml\n([^]*?)```/.exec(page)?.[1] ?? '';
    expect(mistakesOf(example, { MYSQL_PASSWORD: 'x' })).toEqual([]);
  });
});

describe('a wrong file', () => {
  const cases: readonly (readonly [name: string, file: string, expected: readonly string[]])[] = [
    [
      'empty',
      '',
      [
        'the file is empty; allowed: pipeline, mysql, kafka, mongo, redis, temporal, tables, schema, changeLog, capture, apply, witness, snapshot, validate, resync, verify, int64, json, datetime, boolean, overrides',
      ],
    ],
    [
      'a list',
      '- a',
      [
        'the file is no group of settings; allowed: pipeline, mysql, kafka, mongo, redis, temporal, tables, schema, changeLog, capture, apply, witness, snapshot, validate, resync, verify, int64, json, datetime, boolean, overrides',
      ],
    ],
    ['not YAML', 'pipeline: "shop', ['line 1: the file is not YAML: Missing closing']],
    [
      'a tab',
      withLine('redis', 'redis:\n\turi: x'),
      ['line 7: the file is not YAML: Tabs are not allowed as indentation'],
    ],
    ['a key twice', `${contract}pipeline: other\n`, ['line 11: the file pipeline is given twice; allowed: once']],
    [
      'a name with capitals',
      withLine('pipeline', 'pipeline: Shop'),
      ['line 2: pipeline "Shop" has another form; allowed: a-z, 0-9 and - inside, at most 63'],
    ],
    ['no name', withLine('pipeline', ''), ['pipeline is missing; allowed: a-z, 0-9 and - inside, at most 63']],
    [
      'an unknown section',
      `${contract}kafak: {}\n`,
      [
        'line 11: kafak is no setting (did you mean kafka?); allowed: pipeline, mysql, kafka, mongo, redis, temporal, tables, schema, changeLog, capture, apply, witness, snapshot, validate, resync, verify, int64, json, datetime, boolean, overrides',
      ],
    ],
    [
      'an unknown setting',
      withLine('redis', 'redis: { uri: redis://h, keyPrefx: a }'),
      [
        'line 6: redis.keyPrefx is no setting (did you mean keyPrefix?); allowed: uri, keyPrefix, username, password, tls',
      ],
    ],
    [
      'another client’s word',
      withLine('redis', 'redis: { uri: redis://h, user: a }'),
      ['line 6: redis.user is no setting (did you mean username?); allowed: uri, keyPrefix, username, password, tls'],
    ],
    [
      'no database',
      withLine('mysql', 'mysql: { uri: mysql://u:s3cret@h:3306 }'),
      ['line 3: mysql.uri names no database; allowed: mysql://user@host:3306/database'],
    ],
    [
      'no user',
      withLine('mysql', 'mysql: { uri: mysql://h/shop }'),
      ['line 3: mysql.uri names no user; allowed: mysql://user@host:3306/database, or mysql.user'],
    ],
    [
      'another scheme',
      withLine('mysql', 'mysql: { uri: postgres://u:s3cret@h/shop }'),
      ['line 3: mysql.uri is a URI of another kind; allowed: mysql://user@host:3306/database'],
    ],
    [
      'its own database',
      withLine('mysql', 'mysql: { uri: mysql://u@h/shop, stateDatabase: SHOP }'),
      ['line 3: mysql.stateDatabase "SHOP" is the captured database; allowed: another one, for lockstep alone'],
    ],
    [
      'an unset variable',
      withLine('redis', 'redis: { uri: "redis://:${NOPE}@h" }'),
      [
        'line 6: redis.uri needs the environment variable NOPE, which is not set; allowed: set it, or write ${NOPE:-default}',
      ],
    ],
    [
      'a wrong expression',
      withLine('redis', 'redis: { uri: "redis://${1X}" }'),
      ['line 6: redis.uri has a wrong expression; allowed: ${NAME} or ${NAME:-default} ($${ for a plain ${)'],
    ],
    [
      'a missing secret',
      withLine('redis', 'redis: { uri: redis://h, password: file:/nope }'),
      ['line 6: redis.password names a file that cannot be read (ENOENT); allowed: file:/path of a readable file'],
    ],
    [
      'an alias',
      withLine('redis', 'redis: { uri: redis://h, password: *s3cret }'),
      ['line 6: redis.password is a YAML alias; allowed: the value itself (quote a text that begins with *)'],
    ],
    [
      'both stores off',
      withLine('redis', 'redis: off').replace(/^mongo:.*$/m, 'mongo: off'),
      ['line 6: redis is off, and mongo too; allowed: one of them off'],
    ],
    ['a store left out', withLine('redis', ''), ['redis is missing; allowed: uri, keyPrefix, username, password, tls']],
    [
      'no brokers',
      withLine('kafka', 'kafka: { brokers: [] }'),
      ['line 4: kafka.brokers is an empty list; allowed: at least one host:port'],
    ],
    [
      'a broker without port',
      withLine('kafka', 'kafka: { brokers: [a:1, b] }'),
      ['line 4: kafka.brokers[1] "b" has another form; allowed: host:port'],
    ],
    [
      'an illegal prefix',
      withLine('kafka', 'kafka: { brokers: [a:1], topicPrefix: "a b" }'),
      ['line 4: kafka.topicPrefix "a b" has another form; allowed: letters, digits, . _ and -, at most 100'],
    ],
    [
      'a share beyond 1',
      `${contract}verify: { sample: 10 }\n`,
      ['line 11: verify.sample 10 is out of range; allowed: a number from 0 to 1, or off'],
    ],
    [
      'a duration without unit',
      `${contract}snapshot: { chunkTime: 50 }\n`,
      [
        'line 11: snapshot.chunkTime 50 has no unit; allowed: a number with its unit, such as 250ms, 5s, 30m, 1h or 7d; at most 1s',
      ],
    ],
    [
      'a TTL of another form',
      contract.replace('ttl: 1h', 'ttl: soon'),
      ['line 10: overrides.customers.redis.ttl "soon" is no duration; allowed: a duration such as 30m or 1h, or off'],
    ],
    [
      'an unknown layout',
      contract.replace('hash', 'hahs'),
      ['line 10: overrides.customers.redis.layout "hahs" is unknown (did you mean hash?); allowed: json, hash'],
    ],
    [
      'more shards than partitions',
      `${contract}apply: { shards: 9 }\n`,
      ['line 11: apply.shards is above kafka.partitions; allowed: from 1 to 4'],
    ],
    [
      'a fraction of rows',
      `${contract}capture: { batchRows: 1.5 }\n`,
      ['line 11: capture.batchRows 1.5 is no whole number; allowed: a whole number from 1 to 10000'],
    ],
    [
      'a group for a text',
      withLine('pipeline', 'pipeline: { a: 1 }'),
      ['line 2: pipeline is a group; allowed: a-z, 0-9 and - inside, at most 63'],
    ],
    [
      'a text for a group',
      withLine('temporal', 'temporal: s3cret'),
      ['line 7: temporal is no group of settings; allowed: address, namespace, tls, apiKey'],
    ],
    [
      'wrong TLS',
      withLine('redis', 'redis: { uri: redis://h, tls: { cа: x, rejectUnauthorized: maybe } }'),
      [
        'line 6: redis.tls.rejectUnauthorized "maybe" is neither; allowed: true or false',
        'line 6: redis.tls.cа is no setting (did you mean ca?); allowed: ca, cert, key, servername, rejectUnauthorized',
      ],
    ],
  ];

  it.each(cases)('%s', (_, file, expected) => {
    expect(mistakesOf(file)).toEqual(expected);
  });

  it('names every mistake at once, in the order of the file', () => {
    const found = mistakesOf(
      'pipeline: A\nmysql: {}\nkafka: { brokers: x }\nmongo: off\nredis: { uri: redis:/h, colour: red }\n',
    );
    expect(found.map((line) => /^(?:line \d+: )?\S+/.exec(line)?.[0])).toEqual([
      'line 1: pipeline',
      'line 2: mysql.uri',
      'line 3: kafka.brokers[0]',
      'line 5: redis.uri',
      'line 5: redis.colour',
    ]);
  });

  it('never throws anything but its own error, and never shows a secret', () => {
    const piece = fc.oneof(
      fc.string(),
      fc.constantFrom(
        'mysql:',
        ' uri: ',
        '\n',
        '{',
        '}',
        '${',
        'MYSQL_PASSWORD}',
        '*a',
        '&a',
        'off',
        'tls: ',
        '!x ',
        '[',
        ']',
        '- ',
        "'",
        '"',
      ),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(piece).map((p) => p.join('')),
          fc.tuple(fc.nat(contract.length), piece).map(([at, p]) => contract.slice(0, at) + p + contract.slice(at)),
        ),
        (text) => {
          expect(() => mistakesOf(text)).not.toThrow();
        },
      ),
      { numRuns: 1500 },
    );
  });
});

describe('forms of columns', () => {
  const base = contract.replace(/^overrides:[\s\S]*$/m, '');

  it('are read for the pipeline, a table and a column', () => {
    const config = parse(`${base}
int64: string
boolean: tinyint1
overrides:
  orders: { json: string, columns: { big: { int64: number }, constructor: { datetime: date } } }
`);
    expect(config.forms).toEqual({ int64: 'string', boolean: 'tinyint1' });
    expect(config.overrides['orders']).toEqual({
      forms: { json: 'string' },
      columns: { big: { int64: 'number' }, constructor: { datetime: 'date' } },
    });
  });

  it('with schemas beside the events, JSON is text everywhere', () => {
    const withSchema = base.replace('kafka:    {', 'kafka:    { envelope: schema,');
    expect(parse(`${withSchema}\nint64: string\n`).forms).toEqual({ json: 'string', int64: 'string' });
    const found = mistakesOf(`${withSchema}\njson: value\noverrides: { a: { columns: { b: { json: value } } } }\n`);
    expect(found.map((line) => /^line \d+: (\S+) is value, which no schema/.exec(line)?.[1])).toEqual([
      'json',
      'overrides.a.columns.b.json',
    ]);
  });

  it.each([
    ['an unknown form', 'int64: text', 'int64 "text" is unknown; allowed: number, string'],
    ['a form of another setting', 'datetime: tinyint1', 'datetime "tinyint1" is unknown; allowed: string, date'],
    [
      'an unknown setting of a column',
      'overrides: { a: { columns: { b: { jsn: string } } } }',
      'overrides.a.columns.b.jsn is no setting (did you mean json?); allowed: int64, json, datetime, boolean',
    ],
    [
      'columns that are no group',
      'overrides: { a: { columns: [b] } }',
      'overrides.a.columns is no group of settings; allowed: column names, each with int64, json, datetime, boolean',
    ],
  ])('%s is refused', (_, line, expected) => {
    expect(mistakesOf(`${base}\n${line}\n`).map((m) => m.replace(/^line \d+: /, ''))).toEqual([expected]);
  });
});

describe('overrides and the tables that exist', () => {
  const config = (overrides: string, tables = "{ include: ['*'] }"): Config =>
    parse(
      withLine('overrides', `overrides: ${overrides}`)
        .replace(/^ {2}customers.*$/m, '')
        .replace(/^tables:.*$/m, `tables: ${tables}`),
    );

  it.each([
    ['right', '{ a: { mongo: { collection: x } } }', undefined, []],
    ['an unknown table', '{ custmers: {} }', undefined, ['overrides.custmers']],
    ['two on one collection', '{ a: { mongo: { collection: b } } }', undefined, ['overrides.a.mongo.collection']],
    ['a swap', '{ a: { mongo: { collection: b } }, b: { mongo: { collection: a } } }', undefined, []],
    ['an unknown name to include', '{}', '{ include: [a, zz] }', ['tables.include[1]']],
    ['two on one collection, one not captured', '{ a: { mongo: { collection: b } } }', '{ include: [a] }', []],
  ])('%s', (_, overrides, tables, paths) => {
    expect(checkOverrides(config(overrides, tables), ['a', 'b', 'customers']).map((m) => m.path)).toEqual(paths);
  });

  it('a name that is too long together with its database', () => {
    const { mongo, ...rest } = config('{}');
    const of = (database: string): unknown =>
      checkOverrides({ ...rest, mongo: mongo && { ...mongo, database } }, ['表'.repeat(64)]).map((m) => m.problem);
    expect(of('d'.repeat(62))).toEqual([]);
    expect(of('d'.repeat(63))).toEqual([
      'has 256 bytes with its database; allowed: 255 together, so give a shorter one',
    ]);
  });
});
