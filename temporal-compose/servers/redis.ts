/** Redis as the stack runs it: in memory only, never evicting (an evicted position would be a lost store), with a password. */
import { Redis } from 'ioredis';
import { obtain } from '../cache.js';
import { type CommandLine, run } from '../command.js';
import { machineSuite, treeCommand, unpackDebian } from '../debian.js';
import type { Launch } from '../launch.js';
import type { Program, Server, Shelf, Site } from '../server.js';
import { findProgram } from '../tool.js';
import { isSupported, parseVersion, type Version, type VersionRange } from '../version.js';

const why =
  'It unpacks Redis from Debian. Otherwise put a redis-server 7 or newer into PATH, or start a Docker engine.';
const supported: VersionRange = { from: [7] };

/** A file rather than arguments: the password would show in the list of processes. */
export function redisConfiguration(port: number, password: string): string {
  return [
    'bind 127.0.0.1',
    `port ${port}`,
    `requirepass ${password}`,
    'daemonize no',
    'save ""',
    'appendonly no',
    'maxmemory-policy noeviction',
    'dir ./',
    '',
  ].join('\n');
}

async function versionOf(command: CommandLine): Promise<Version> {
  return parseVersion((await run([...command, '--version'])).all, 'v=') ?? [];
}

async function fetchFrom(shelf: Shelf, suite: string): Promise<Program> {
  const what = `fetching Redis from Debian ${suite} (15 MB, about 10 s)`;
  const tree = await obtain(shelf, 'redis', `redis-${suite}`, what, async (draft, running) => {
    await unpackDebian(shelf, running, draft, suite, ['redis-server'], why);
    const command = await treeCommand(draft, 'usr/bin/redis-server');
    await run([...command, '--version'], { ...running, failure: 'LS-STACK-FETCH' });
  });
  const command = await treeCommand(tree, 'usr/bin/redis-server');
  return { command, version: await versionOf(command), origin: tree };
}

export const redis: Server = {
  name: 'redis',
  ports: ['redis'],
  supported,
  stopGraceMs: 10_000,

  async find() {
    const file = findProgram('redis-server');
    return file === undefined ? undefined : { command: [file], version: await versionOf([file]), origin: 'PATH' };
  },

  async fetch(shelf: Shelf) {
    // The machine's own suite first: the package that its users would install.
    const own = await machineSuite();
    const program = own === undefined ? undefined : await fetchFrom(shelf, own);
    return program !== undefined && isSupported(program.version, supported) ? program : await fetchFrom(shelf, 'sid');
  },

  launch(program: Program, site: Site): Launch {
    return {
      command: [...program.command, 'redis.conf'],
      cwd: site.folder,
      files: { 'redis.conf': redisConfiguration(site.ports.redis, site.secrets.redis) },
    };
  },

  async prepare(site: Site) {
    const client = new Redis({
      host: '127.0.0.1',
      port: site.ports.redis,
      password: site.secrets.redis,
      lazyConnect: true,
      connectTimeout: 2000,
      commandTimeout: 2000,
      retryStrategy: () => null,
    });
    // The failed call throws the same error; without a listener ioredis prints it.
    client.on('error', () => undefined);
    try {
      await client.connect();
      return parseVersion(await client.info('server'), 'redis_version:');
    } finally {
      client.disconnect();
    }
  },
};
