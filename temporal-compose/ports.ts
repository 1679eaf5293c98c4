/**
 * Choosing ports. A port is taken from below the range the kernel hands to outgoing connections (32768 and up on Linux):
 * otherwise a client's own end may sit on a stopped server's port when that server comes back.
 */
import { createServer } from 'node:net';
import { LockstepError } from '../core/errors.js';
import { portNames, type PortName, type Ports, usualPorts } from './server-name.js';

export type PortPolicy = 'usual' | 'free';

/** The ports of a stack while it starts: a port that somebody else took is changed, and the change kept. */
export interface PortBook {
  readonly current: () => Ports;
  readonly change: (changed: Partial<Ports>) => Promise<void>;
}

const freeFrom = 15_000;
const freeBelow = 32_000;
const tries = 200;

/** Whether 127.0.0.1:port can be listened on at this moment. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

/** One free port that is in none of `taken`. `random` gives numbers in [0, 1). */
export async function chooseFreePort(
  taken: ReadonlySet<number>,
  free: (port: number) => Promise<boolean> = isFree,
  random: () => number = Math.random,
): Promise<number> {
  for (let i = 0; i < tries; i++) {
    const port = freeFrom + Math.floor(random() * (freeBelow - freeFrom));
    if (!taken.has(port) && (await free(port))) return port;
  }
  throw new LockstepError('LS-STACK-START', `no free port between ${freeFrom} and ${freeBelow} after ${tries} tries`);
}

/** Ports for a new stack: the usual ones where they are free and wanted, others elsewhere; no two alike. */
export async function choosePorts(
  policy: PortPolicy,
  free: (port: number) => Promise<boolean> = isFree,
  random: () => number = Math.random,
): Promise<Ports> {
  const chosen: Record<PortName, number> = { ...usualPorts };
  const taken = new Set<number>();
  for (const name of portNames) {
    const usual = usualPorts[name];
    const port = policy === 'usual' && (await free(usual)) ? usual : await chooseFreePort(taken, free, random);
    chosen[name] = port;
    taken.add(port);
  }
  return chosen;
}

/** Other ports for those of `names` that somebody listens on; empty when all are free. */
export async function exchangeTaken(
  names: readonly PortName[],
  current: Ports,
  free: (port: number) => Promise<boolean> = isFree,
  random: () => number = Math.random,
): Promise<Partial<Ports>> {
  const changed: Partial<Record<PortName, number>> = {};
  for (const name of names) {
    if (await free(current[name])) continue;
    const taken = new Set([...Object.values(current), ...Object.values(changed)]);
    changed[name] = await chooseFreePort(taken, free, random);
  }
  return changed;
}
