/** A MongoDB replica set of three members of a test's own, without authentication, whose members are killed and frozen at will. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MongoClient, type Db } from 'mongodb';
import { listenersOf } from '../../bench/processes.js';
import type { Stack } from '../../temporal-compose/stack.js';
import { freePort } from './ports.js';
import { until } from './processes.js';

export interface ReplicaSet {
  /** Names all three members. */
  readonly uri: string;
  readonly ports: readonly number[];
  /** Port of the member that the others, and it itself, take for the primary. */
  primary(): Promise<number>;
  kill(port: number): Promise<void>;
  start(port: number): Promise<void>;
  signal(port: number, signal: 'SIGSTOP' | 'SIGCONT'): void;
  remove(): Promise<void>;
}

/** The program of the stack's own mongod; null where it runs in a container. */
export async function mongodProgram(stack: Stack): Promise<string | null> {
  const port = Number(new URL(stack.mongo.uri).port);
  const pid = (await listenersOf(new Map([['mongo', port]]))).get('mongo');
  return pid === undefined ? null : await readlink(`/proc/${pid}/exe`).catch(() => null);
}

export async function startReplicaSet(program: string): Promise<ReplicaSet> {
  const folder = await mkdtemp(join(tmpdir(), 'lockstep-replicas-'));
  const ports = [await freePort(), await freePort(), await freePort()];
  const members = new Map<number, ChildProcess>();
  const hosts = ports.map((port) => `127.0.0.1:${port}`);
  await Promise.all(ports.map(async (port) => await mkdir(join(folder, String(port)))));

  async function start(port: number): Promise<void> {
    const options = [
      '--replSet=three',
      '--bind_ip=127.0.0.1',
      '--nounixsocket',
      '--wiredTigerCacheSizeGB=0.25',
      '--quiet',
    ];
    const child = spawn(program, [...options, `--port=${port}`, `--dbpath=${join(folder, String(port))}`], {
      stdio: 'ignore',
    });
    members.set(port, child);
    await until(`member ${port} answers`, async () => await said(port, { ping: 1 }), { timeoutMs: 30_000 });
  }
  async function kill(port: number): Promise<void> {
    const child = members.get(port);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  for (const port of ports) await start(port);
  await asked(ports[0] ?? 0, {
    replSetInitiate: {
      _id: 'three',
      members: hosts.map((host, _id) => ({ _id, host })),
      settings: { electionTimeoutMillis: 2000, heartbeatIntervalMillis: 500 },
    },
  });
  const set: ReplicaSet = {
    uri: `mongodb://${hosts.join(',')}/?replicaSet=three`,
    ports,
    async primary() {
      const client = await MongoClient.connect(set.uri, { serverSelectionTimeoutMS: 30_000 });
      try {
        const { me } = await client.db('admin').command({ hello: 1 });
        return Number(String(me).split(':')[1]);
      } finally {
        await client.close();
      }
    },
    kill,
    start,
    signal: (port, signal) => void members.get(port)?.kill(signal),
    async remove() {
      await Promise.all(ports.map(kill));
      await rm(folder, { recursive: true, force: true });
    },
  };
  await set.primary();
  return set;
}

async function asked(port: number, command: Parameters<Db['command']>[0]): Promise<unknown> {
  const client = new MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`, {
    serverSelectionTimeoutMS: 1000,
  });
  try {
    return await client.db('admin').command(command);
  } finally {
    await client.close();
  }
}

async function said(port: number, command: Parameters<Db['command']>[0]): Promise<boolean> {
  return await asked(port, command).then(
    () => true,
    () => false,
  );
}
