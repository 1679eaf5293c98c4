import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { identify, isRunning, parsePidFile, startedFromStat } from '../../temporal-compose/identity.js';
import { findRunning, startDetached, stop } from '../../temporal-compose/launch.js';

const stat = (state: string, ticks: number, name = 'mysqld', threads = 38): string =>
  `4242 (${name}) ${state} 1 4242 4242 0 -1 4194304 100 0 0 0 5 5 0 0 20 0 ${threads} 0 ${ticks} 1977940000 154000`;

describe('startedFromStat', () => {
  test.each([
    ['a plain name', stat('S', 123456), '123456'],
    ['a name with spaces and brackets', stat('R', 99, 'a) b (c) 1 2'), '99'],
    ['a zombie, which has ended', stat('Z', 123456, 'mysqld', 1), undefined],
    ['a zombie whose threads are still ending', stat('Z', 123456, 'mysqld', 2), '123456'],
    ['a line that is cut', '4242 (mysqld) S 1', undefined],
  ])('%s', (_name, line, expected) => {
    expect(startedFromStat(line)).toBe(expected);
  });
});

describe('parsePidFile', () => {
  const boot = '6ac34ba1-c6ad-4f3e-a2a9-1d4b36e7d8a5';
  test.each([
    ['Linux', `4242\n${boot}\n${stat('S', 7)}\n`, { pid: 4242, started: `${boot} 7` }],
    ['what ps says', '4242\nSun Nov 22 23:01:00 2026    \n', { pid: 4242, started: 'Sun Nov 22 23:01:00 2026' }],
    ['an empty file', '', undefined],
    ['a pid alone', '4242\n', undefined],
    ['no number', 'x\nSun Nov 22 23:01:00 2026\n', undefined],
    ['a cut stat line', `4242\n${boot}\n4242 (my\n`, undefined],
  ])('%s', (_name, text, expected) => {
    expect(parsePidFile(text)).toEqual(expected);
  });
});

describe('a process', () => {
  let folder = '';
  let pidFile = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lockstep launch '));
    pidFile = join(folder, 'pid');
  });
  afterEach(async () => {
    await stop(pidFile, 0);
    await rm(folder, { recursive: true });
  });

  const start = async (...command: [string, ...string[]]): ReturnType<typeof startDetached> =>
    await startDetached({ command, cwd: folder, files: { 'a.conf': 'x' } }, pidFile, join(folder, 'log', 'out.log'));

  test('is known again by its pid file, with its files and log in place', async () => {
    const identity = await start('sh', '-c', 'cat a.conf; exec sleep 100');
    expect(await findRunning(pidFile)).toEqual(identity);
    expect(await identify(identity.pid)).toEqual(identity);
    await expect.poll(async () => await readFile(join(folder, 'log', 'out.log'), 'utf8')).toBe('x');
    expect(await stop(pidFile, 5000)).toBe('stopped');
    expect(await isRunning(identity)).toBe(false);
    expect(await stop(pidFile, 5000)).toBe('was not running');
  });

  test('that will not end is killed', async () => {
    const identity = await start('sh', '-c', 'trap "" TERM; echo trapped; while :; do sleep 0.05; done');
    await expect.poll(async () => await readFile(join(folder, 'log', 'out.log'), 'utf8')).toBe('trapped\n');
    expect(await stop(pidFile, 100)).toBe('killed');
    expect(await isRunning(identity)).toBe(false);
  });

  test('that took over an old pid is left alone', async () => {
    const other = spawn('sleep', ['100']);
    try {
      const identity = await identify(other.pid ?? 0);
      expect(identity).toBeDefined();
      // The pid file of a server that ended: the same pid, but started at another moment.
      await writeFile(pidFile, `${other.pid}\nSun Nov 22 23:01:00 2026\n`);
      expect(await findRunning(pidFile)).toBeUndefined();
      expect(await stop(pidFile, 0)).toBe('was not running');
      expect(await identify(other.pid ?? 0)).toEqual(identity);
    } finally {
      other.kill('SIGKILL');
    }
  });

  test('that cannot be run leaves nothing running', async () => {
    const started = await start(join(folder, 'no such program'));
    await expect.poll(async () => await isRunning(started)).toBe(false);
    expect(await readFile(join(folder, 'log', 'out.log'), 'utf8')).toContain('no such program');
  });
});
