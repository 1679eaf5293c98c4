/**
 * The local stack in Docker: brought up twice, damaged, healed, taken down. Only where that engine is asked for:
 * LOCKSTEP_ENGINE=docker npx vitest run --project e2e test/e2e/stackDocker.test.ts
 */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../../temporal-compose/command.js';
import { projectName } from '../../temporal-compose/compose.js';
import { lookAtContainers } from '../../temporal-compose/docker.js';
import { placeOf } from '../../temporal-compose/place.js';
import { down, serverNames, type Stack, status, up } from '../../temporal-compose/stack.js';
import { containerOf, strikeServer } from '../support/localServer.js';

let root = '';
const lines: string[] = [];
const onProgress = (line: string): void => void lines.push(line);
const bringUp = async (): Promise<Stack> => {
  lines.length = 0;
  return await up({ root, ports: 'free', owner: process.pid, onProgress });
};

async function query(stack: Stack, sql: string): Promise<string> {
  const connection = await createConnection(stack.mysql.uri);
  try {
    return JSON.stringify((await connection.query(sql))[0]);
  } finally {
    await connection.end();
  }
}

/** Also those without a name: they would stay behind unseen. */
async function volumes(): Promise<readonly string[]> {
  return (await run(['docker', 'volume', 'ls', '--quiet'])).stdout.split('\n').filter((name) => name !== '');
}

const inDocker = process.env['LOCKSTEP_ENGINE'] === 'docker';

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "lockstep containers, d'été #1 "));
});
afterAll(async () => {
  await down({ root, wipe: true });
  await rm(root, { recursive: true, force: true });
});

test.runIf(inDocker)(
  'comes up, is left alone by a second up, heals, and goes without a trace',
  async () => {
    const volumesBefore = await volumes();
    // What somebody has exported for a Compose file of their own is not for ours.
    process.env['REDIS_PASSWORD'] = 'of somebody else';
    const first = await bringUp();
    delete process.env['REDIS_PASSWORD'];
    await query(first, 'CREATE DATABASE kept');

    // Twice is once.
    const before = await run(['docker', 'ps', '--quiet', '--no-trunc']);
    expect(await bringUp()).toEqual(first);
    expect(await run(['docker', 'ps', '--quiet', '--no-trunc'])).toEqual(before);
    for (const name of serverNames) expect(lines.join('\n')).toMatch(new RegExp(`${name} +already running`));

    // One dies and somebody takes its port, another hangs.
    await strikeServer(root, 'mysql', 'kill');
    await strikeServer(root, 'redis', 'freeze');
    const port = Number(new URL(first.mysql.uri).port);
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(port, '127.0.0.1', resolve));
    const healed = await bringUp();
    squatter.close();
    expect(lines.join('\n')).toMatch(/mysql +it had ended: starting it again/);
    expect(lines.join('\n')).toMatch(new RegExp(`port ${port} is taken`));
    expect(lines.join('\n')).toMatch(/mongo +already running/);
    expect(healed.mysql.uri).not.toBe(first.mysql.uri);
    expect(await query(healed, "SHOW DATABASES LIKE 'kept'")).toContain('kept');

    // Data outlives the containers.
    await down({ root, onProgress });
    expect([...(await lookAtContainers(placeOf(root)))]).toEqual([]);
    expect((await status({ root }))?.map(({ running }) => running)).toEqual([false, false, false, false, false]);
    expect(await query(await bringUp(), "SHOW DATABASES LIKE 'kept'")).toContain('kept');

    // A volume that was never filled to the end is filled anew.
    await run(['docker', 'exec', await containerOf(root, 'mysql'), 'rm', '/var/lib/mysql/.whole']);
    await strikeServer(root, 'mysql', 'kill');
    expect(await query(await bringUp(), "SHOW DATABASES LIKE 'kept'")).toBe('[]');

    await down({ root, wipe: true });
    expect(existsSync(root) ? await readdir(root) : []).toEqual([]);
    expect((await volumes()).filter((name) => name.startsWith(projectName(root)))).toEqual([]);
    expect((await volumes()).length).toBeLessThanOrEqual(volumesBefore.length);
  },
  600_000,
);
