/**
 * What a stack remembers of itself: engine, ports, secrets. Everything else is looked at, not remembered.
 */
import { randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { LockstepError } from '../core/errors.js';
import type { Place } from './place.js';
import { choosePorts, type PortPolicy } from './ports.js';
import { makeSecrets, type Secrets, secretsSchema } from './secrets.js';
import type { Ports } from './server-name.js';

export type Engine = 'docker' | 'native';

const port = z.number().int().min(1).max(65_535);
const stateSchema = z.object({
  version: z.literal(1),
  engine: z.enum(['docker', 'native']),
  ports: z.object({
    mysql: port,
    mongo: port,
    redis: port,
    kafka: port,
    kafkaController: port,
    temporal: port,
    temporalUi: port,
  }),
});

export interface State {
  readonly engine: Engine;
  readonly ports: Ports;
}

/** Replaces a file at once, readable by its owner alone. Its callers hold the stack's lock: the draft has one writer. */
export async function writePrivate(path: string, text: string): Promise<void> {
  const draft = `${path}.new`;
  await writeFile(draft, text, { mode: 0o600 });
  await rename(draft, path);
}

async function readJson(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new LockstepError('LS-STACK-STATE', `${path} is not JSON`, { cause });
  }
}

async function readChecked<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const found = await readJson(path);
  if (found === undefined) return undefined;
  const checked = schema.safeParse(found);
  if (checked.success) return checked.data;
  throw new LockstepError('LS-STACK-STATE', `${path} is not a state of this version of lockstep`, {
    cause: checked.error,
  });
}

export async function readState(place: Place): Promise<State | undefined> {
  return await readChecked(place.state, stateSchema);
}

export async function writeState(place: Place, state: State): Promise<void> {
  await writePrivate(place.state, `${JSON.stringify({ version: 1, ...state }, undefined, 2)}\n`);
}

export async function readSecrets(place: Place): Promise<Secrets | undefined> {
  return await readChecked(place.secrets, secretsSchema);
}

/** The stack's state and secrets; made now if this is its first start. Secrets go first: data without them is locked up. */
export async function openState(
  place: Place,
  engine: () => Promise<Engine>,
  policy: PortPolicy,
): Promise<{ state: State; secrets: Secrets }> {
  const found = await readState(place);
  const kept = await readSecrets(place);
  if (found !== undefined && kept === undefined) {
    throw new LockstepError('LS-STACK-STATE', `${place.secrets} is gone, and with it the passwords of this stack`);
  }
  const secrets = kept ?? makeSecrets(randomBytes);
  if (kept === undefined) await writePrivate(place.secrets, `${JSON.stringify(secrets, undefined, 2)}\n`);
  if (found !== undefined) return { state: found, secrets };
  const state: State = { engine: await engine(), ports: await choosePorts(policy) };
  await writeState(place, state);
  return { state, secrets };
}
