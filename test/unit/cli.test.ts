/** The command line in this process: what it prints, where, and the exit code. Nothing here needs a server. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { exitCodeOf, failureText } from '../../cli/failure.js';
import { initFileText, pipelineNameOf, withoutPassword, type InitFile } from '../../cli/initFile.js';
import { fitted } from '../../cli/progress.js';
import { run } from '../../cli/program.js';
import { count, lagText, sizeText, spanText, statusText } from '../../cli/statusText.js';
import { parseQueues } from '../../cli/worker.js';
import { parseConfig } from '../../core/configFile.js';
import { LockstepError } from '../../core/errors.js';
import type { PipelineStatus } from '../../core/status.js';

let out: string;
let err: string;
let folder: string;

beforeEach(() => {
  out = '';
  err = '';
  folder = mkdtempSync(join(tmpdir(), 'lockstep-cli-'));
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((out += String(text)), true));
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((err += String(text)), true));
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
  process.exitCode = undefined;
});

const commands = [
  'up',
  'down',
  'init',
  'doctor',
  'worker',
  'start',
  'stop',
  'pause',
  'resume',
  'status',
  'wait',
  'resync',
  'uninstall',
];
const onPipelines = commands.filter((name) => !['up', 'down', 'init'].includes(name));

describe('help', () => {
  it('names every command', async () => {
    expect(await run(['--help'])).toBe(0);
    for (const name of commands) expect(out).toMatch(new RegExp(`^ {2}${name}\\b`, 'm'));
  });

  it.each(commands)('of %s has an example', async (name) => {
    expect(await run([name, '--help'])).toBe(0);
    expect(out).toMatch(new RegExp(`Examples:\\n {2}.*lockstep ${name}`));
    expect(err).toBe('');
  });

  it('comes on stderr with code 2 when there is no command', async () => {
    expect(await run([])).toBe(2);
    expect(err).toContain('Usage: lockstep');
    expect(out).toBe('');
  });
});

describe('wrong use ends with 2, its code and what to do', () => {
  it.each([
    [['statsu'], /LS-USAGE: unknown command 'statsu'\n\(Did you mean status\?\)/],
    [['status', '--watsh'], /unknown option '--watsh'/],
    [['resync'], /missing required argument 'table'/],
    [['pause', ''], /It is empty/],
    [['wait', '--timeout', 'soon'], /Allowed: a number with its unit/],
    [['worker', '--queues', 'stream,nope'], /nope is no queue. Allowed: control, capture/],
    [['init'], /required option '--mysql <uri>' not specified/],
    [['init', '--mysql', 'mysql://u:s3cret@h:1'], /mysql\.uri names no database/],
    [['init', '--mysql', 'nonsense'], /mysql\.uri is no URI/],
    [['init', '--mysql', 'mysql://u:s3cret@h:1/d', '--mongo', 'off', '--redis', 'off'], /one of them off/],
    [['status', 'extra'], /too many arguments/],
  ])('%j', async (args, expected) => {
    expect(await run(args)).toBe(2);
    expect(err).toMatch(/^LS-USAGE: /);
    expect(err).toMatch(expected);
    expect(err).toMatch(/\n {2}→ /);
    expect(err).not.toContain('s3cret');
    expect(out).toBe('');
  });

  const withoutTable = onPipelines.filter((name) => name !== 'resync');
  it.each(withoutTable)('%s without a configuration', async (name) => {
    expect(await run([name, '-c', join(folder, 'none.yaml')])).toBe(2);
    expect(err).toMatch(/^LS-CONFIG-UNREADABLE: .*none\.yaml does not exist/);
  });

  it.each(withoutTable)('%s with a wrong configuration', async (name) => {
    const file = join(folder, 'wrong.yaml');
    writeFileSync(file, 'pipeline: A B\nmysql: { uri: mysql://u:s3cret@h }\n');
    expect(await run([name, '-c', file])).toBe(2);
    expect(err).toMatch(/^LS-CONFIG-INVALID: .*wrong\.yaml has 5 mistakes:\n/);
    expect(err).not.toContain('s3cret');
  });
});

describe('a server that does not answer', () => {
  const dead = `
pipeline: dead
mysql: { uri: mysql://u:s3cret@127.0.0.1:1/shop }
kafka: { brokers: [127.0.0.1:1] }
mongo: { uri: 'mongodb://127.0.0.1:1' }
redis: { uri: redis://127.0.0.1:1 }
temporal: { address: 127.0.0.1:1 }
`;

  it.each([
    ['doctor', 'out', /LS-MYSQL-UNREACHABLE[^]*127\.0\.0\.1:1/],
    ['stop', 'err', /^LS-TEMPORAL-UNREACHABLE: .*127\.0\.0\.1:1/],
    ['pause', 'err', /^LS-TEMPORAL-UNREACHABLE: .*127\.0\.0\.1:1/],
    ['uninstall', 'err', /^LS-TEMPORAL-UNREACHABLE: .*127\.0\.0\.1:1/],
    ['wait', 'err', /^LS-MYSQL-UNREACHABLE: .*127\.0\.0\.1:1/],
  ])('makes %s fail soon, by name', { timeout: 20_000 }, async (name, where, expected) => {
    const file = join(folder, 'dead.yaml');
    writeFileSync(file, dead);
    const began = performance.now();
    expect(await run([name, '-c', file])).toBe(1);
    expect(performance.now() - began).toBeLessThan(30_000);
    expect(where === 'out' ? out : err).toMatch(expected);
    expect(out + err).not.toContain('s3cret');
  });

  it('leaves status with what can be told', { timeout: 20_000 }, async () => {
    const file = join(folder, 'dead.yaml');
    writeFileSync(file, dead);
    expect(await run(['status', '--json', '-c', file])).toBe(0);
    const { problems } = JSON.parse(out) as PipelineStatus;
    const codes = problems.map(({ code }) => code);
    expect(codes).toContain('LS-TEMPORAL-UNREACHABLE');
    expect(codes).toContain('LS-MYSQL-UNREACHABLE');
    expect(codes).toContain('LS-MONGO-UNREACHABLE');
  });
});

describe('failures', () => {
  it('show a stack only when asked', () => {
    const error = new LockstepError('LS-WAIT-TIMEOUT', 'late', { cause: new Error('inner') });
    expect(failureText(error, false)).toMatch(/^LS-WAIT-TIMEOUT: late\n {2}→ [^\n]*\n$/);
    expect(failureText(error, true)).toMatch(/at [^]*caused by Error: inner/);
    expect(failureText('odd', false)).toMatch(/^LS-INTERNAL: odd\n/);
  });

  it('have an exit code', () => {
    expect(exitCodeOf(new LockstepError('LS-CONFIG-INVALID', ''))).toBe(2);
    expect(exitCodeOf(new LockstepError('LS-WAIT-TIMEOUT', ''))).toBe(1);
    expect(exitCodeOf(new Error('any'))).toBe(1);
  });
});

describe('queues', () => {
  it.each([
    ['control', ['control']],
    ['stream', ['capture', 'mongo', 'redis']],
    ['stream, control,mongo', ['capture', 'mongo', 'redis', 'control']],
  ])('%j', (text, expected) => {
    expect(parseQueues(text)).toEqual(expected);
  });
});

describe('the file that init writes', () => {
  const file: InitFile = {
    pipeline: 'shop',
    mysql: 'mysql://lockstep:${MYSQL_PASSWORD}@db:3306/shop',
    stateDatabase: 'lockstep',
    mongo: 'mongodb://a:1,b:2/?replicaSet=rs0',
    mongoDatabase: 'shop',
    redis: 'redis://cache:6379',
    brokers: ['k1:9092', 'k2:9092'],
    temporal: '127.0.0.1:7233',
    tables: ['orders', 'evil\n  include: []', '‘x’: {y}'],
    leftOut: [{ table: 'log', explanation: 'it has no primary key; add one' }],
  };
  const read = (text: string) =>
    parseConfig(text, 'f', {
      env: { MYSQL_PASSWORD: 'p' },
      readSecret: () => {
        throw new Error('none');
      },
    });

  it('is read as it was meant, and lists what is left out', () => {
    const text = initFileText(file);
    expect(read(text)).toMatchObject({
      pipeline: 'shop',
      mysql: { uri: 'mysql://lockstep:p@db:3306', database: 'shop' },
      kafka: { brokers: ['k1:9092', 'k2:9092'], topicPrefix: 'shop' },
      mongo: { uri: 'mongodb://a:1,b:2/?replicaSet=rs0', database: 'shop' },
      redis: { uri: 'redis://cache:6379', keyPrefix: 'shop' },
      tables: { include: ['*'], exclude: [] },
    });
    expect(text).toContain('#   log: it has no primary key; add one');
  });

  it('can leave a store out and name a state database', () => {
    const config = read(initFileText({ ...file, redis: null, stateDatabase: 'lockstep_shop' }));
    expect(config.redis).toBeNull();
    expect(config.mysql.stateDatabase).toBe('lockstep_shop');
  });

  it('holds no password', () => {
    expect(withoutPassword('mysql://u:s3%40cret@h:1/d', 'MYSQL_PASSWORD')).toEqual({
      uri: 'mysql://u:${MYSQL_PASSWORD}@h:1/d',
      password: 's3@cret',
    });
    expect(withoutPassword('redis://:x@h', 'R').uri).toBe('redis://:${R}@h');
    expect(withoutPassword('mysql://u@h/d', 'M')).toEqual({ uri: 'mysql://u@h/d', password: null });
  });

  it.each([
    ['shop', 'shop'],
    ['My_Shop 2', 'my-shop-2'],
    ['--', 'pipeline'],
    ['x'.repeat(80), 'x'.repeat(63)],
  ])('names the pipeline of database %j %j', (database, name) => {
    expect(pipelineNameOf(database)).toBe(name);
  });
});

describe('status in words', () => {
  const status: PipelineStatus = {
    pipeline: 'shop',
    stage: 'copying',
    at: '2026-01-02T03:04:05.000Z',
    windowSeconds: 60,
    tables: [
      {
        table: 'customers',
        stage: 'streaming',
        copy: null,
        rowsCopied: 12_000,
        parkedKeys: 1,
        verifiedThrough: { mongo: '2026-01-02T03:04:03.500Z', redis: '2026-01-02T03:04:00.000Z' },
      },
      {
        table: 'orders',
        stage: 'copying',
        copy: { rows: 50_000, estimated: 100_000, percent: 50, rowsPerSecond: 15_000, secondsLeft: 3.4 },
        rowsCopied: 50_000,
        parkedKeys: 0,
        verifiedThrough: { mongo: null, redis: null },
      },
    ],
    capture: { backlog: 1234, oldestMs: 1500, changesPerSecond: 200.4, bytes: 3 * 1024 * 1024 },
    stores: [
      {
        store: 'mongo',
        state: 'ready',
        applied: 1_234_567,
        eventsPerSecond: 200,
        lag: { p50: 21.4, p95: 40, p99: 1_200 },
        behind: 12,
        lastEventAt: null,
        epochs: [1],
        parkedKeys: 0,
        verify: { through: '2026-01-02T03:04:03.500Z', behind: 7, events: 10, differences: 2, unverified: 0 },
      },
      {
        store: 'redis',
        state: 'empty',
        applied: 0,
        eventsPerSecond: 0,
        lag: null,
        behind: 0,
        lastEventAt: null,
        epochs: [],
        parkedKeys: 0,
        verify: null,
      },
    ],
    problems: [{ code: 'LS-REDIS-FULL', severity: 'error', message: 'full', fix: 'make room', store: 'redis' }],
  };

  it('is a table', () => {
    expect(statusText(status)).toBe(
      `pipeline shop: copying, 2026-01-02T03:04:05.000Z

store  state  lag p50    p95    p99  events/s  behind    applied  parked   verified  wrong
mongo  ready    21 ms  40 ms  1.2 s       200      12  1 234 567       0  1.5 s ago      2
redis  empty        –      –      –         0       0          0       0          –      –

capture: 200 changes/s, 1 234 changes wait, the oldest 1.5 s, change log 3.0 MB

table      stage      done             copied  rows/s  left  parked   verified
customers  streaming                   12 000                     1  5.0 s ago
orders     copying    50 %  50 000 of 100 000  15 000   4 s       0          –

problems
  error LS-REDIS-FULL (redis): full
    → make room`,
    );
  });

  it('fits a terminal', () => {
    expect(fitted('abcdef\nab\nc\nd', 4, 3)).toBe('abc…\nab\n…');
    expect(fitted('ab\nc', 4, 3)).toBe('ab\nc');
  });

  it('lists what moves when there are many tables', () => {
    const still = Array.from({ length: 60 }, (_, i) => ({
      table: `t${i}`,
      stage: 'streaming' as const,
      copy: null,
      rowsCopied: 1,
      parkedKeys: 0,
      verifiedThrough: {},
    }));
    const text = statusText({ ...status, tables: [...still, ...status.tables] });
    expect(text).toMatch(/\norders /);
    expect(text).toContain('and 60 more tables');
    expect(text).not.toMatch(/\nt1 /);
  });

  it.each([
    [count(0), '0'],
    [count(999), '999'],
    [count(1_000_000), '1 000 000'],
    [lagText(12.6), '13 ms'],
    [lagText(1_500), '1.5 s'],
    [lagText(90_000), '1 min 30 s'],
    [spanText(59.2), '60 s'],
    [spanText(3_700), '1 h 2 min'],
    [sizeText(10), '10 B'],
    [sizeText(5 * 1024 ** 3), '5.0 GB'],
    [sizeText(20 * 1024 ** 2), '20 MB'],
  ])('%s', (shown, expected) => {
    expect(shown).toBe(expected);
  });
});
