/** The local stack itself: brought up twice, damaged, healed, taken down. It has a state folder of its own. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Identity, isRunning } from '../../temporal-compose/identity.js';
import { findRunning } from '../../temporal-compose/launch.js';
import { placeOf } from '../../temporal-compose/place.js';
import { isFree } from '../../temporal-compose/ports.js';
import { down, serverNames, type Stack, status, up } from '../../temporal-compose/stack.js';
import { type ServerName } from '../../temporal-compose/server-name.js';

// A path that a careless command line, SQL string or properties file would break on.
let root = '';
const lines: string[] = [];
const onProgress = (line: string): void => void lines.push(line);
const bringUp = async (): Promise<Stack> => {
  lines.length = 0;
  return await up({ root, ports: 'free', owner: process.pid, onProgress });
};

async function processes(): Promise<ReadonlyMap<ServerName, Identity>> {
  const found = new Map<ServerName, Identity>();
  for (const name of serverNames) {
    const identity = await findRunning(placeOf(root).pidFile(name));
    if (identity !== undefined) found.set(name, identity);
  }
  return found;
}

async function query(stack: Stack, sql: string): Promise<unknown> {
  const connection = await createConnection(stack.mysql.uri);
  try {
    return (await connection.query(sql))[0];
  } finally {
    await connection.end();
  }
}

const native = process.env['LOCKSTEP_ENGINE'] !== 'docker';

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "lockstep stack, d'été #1 "));
});
afterAll(async () => {
  await down({ root, wipe: true });
  await rm(root, { recursive: true, force: true });
});

test.runIf(native)(
  'comes up, is left alone by a second up, heals, and goes without a trace',
  async () => {
    process.env['LOCKSTEP_ENGINE'] = 'native';
    const first = await bringUp();
    await query(first, 'CREATE DATABASE kept');
    const before = await processes();
    expect([...before.keys()]).toEqual(serverNames);

    // Secrets lie in the state folder alone, for its owner alone.
    expect((await stat(join(root, 'secrets.json'))).mode & 0o777).toBe(0o600);
    const arguments_ = await Promise.all(
      [...before.values()].map(({ pid }) => readFile(`/proc/${pid}/cmdline`, 'utf8')),
    );
    const password = new URL(first.redis.uri).password;
    expect(arguments_.join(' ')).not.toContain(password);

    // Twice is once.
    expect(await bringUp()).toEqual(first);
    expect(await processes()).toEqual(before);
    for (const name of serverNames) expect(lines.join('\n')).toMatch(new RegExp(`${name} +already running`));

    // One dies, and somebody else takes its port meanwhile.
    const died = before.get('mysql')!;
    process.kill(died.pid, 'SIGKILL');
    await expect.poll(async () => await isRunning(died)).toBe(false);
    const port = Number(new URL(first.mysql.uri).port);
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(port, '127.0.0.1', resolve));
    const healed = await bringUp();
    squatter.close();
    expect(lines.join('\n')).toMatch(/mysql +it had died: starting it again/);
    expect(lines.join('\n')).toMatch(new RegExp(`mysql +port ${port} is taken`));
    expect(healed.mysql.uri).not.toBe(first.mysql.uri);
    expect(JSON.stringify(await query(healed, "SHOW DATABASES LIKE 'kept'"))).toContain('kept');
    const after = await processes();
    const untouched = serverNames.filter((name) => name !== 'mysql');
    for (const name of untouched) expect(after.get(name)).toEqual(before.get(name));

    await down({ root, onProgress });
    for (const identity of [...before.values(), ...after.values()]) expect(await isRunning(identity)).toBe(false);
    const stopped = await status({ root });
    expect(stopped?.map(({ running }) => running)).toEqual([false, false, false, false, false]);
    for (const { port: freed } of stopped ?? []) expect(await isFree(freed)).toBe(true);
    expect(existsSync(join(root, 'mysql', 'data'))).toBe(true);

    await down({ root, wipe: true });
    expect(existsSync(root) ? await readdir(root) : []).toEqual([]);
  },
  300_000,
);
