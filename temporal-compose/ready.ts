/** Waiting until a server answers its own protocol, whoever runs it. A log line is no proof; an answered query is. */
import { setTimeout as pause } from 'node:timers/promises';
import { describeError, LockstepError } from '../core/errors.js';
import type { Server, Site } from './server.js';
import { titles } from './server-name.js';
import { describeRange, describeVersion, isSupported, type Version } from './version.js';

const firstPauseMs = 50;
const longestPauseMs = 500;

export class NotReady extends Error {
  override readonly name = 'NotReady';
}

export interface Patience {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Whether waiting on makes sense: false once the process has ended. */
  readonly alive: () => Promise<boolean>;
  /** Whether it is this very server that listens on its ports: before that, nobody is spoken to. */
  readonly listens: () => Promise<boolean>;
}

/** @returns the version the server reports. @throws NotReady when it did not come up; its cause is the last attempt's error. */
export async function waitReady(server: Server, site: Site, patience: Patience): Promise<Version | undefined> {
  const deadline = Date.now() + patience.timeoutMs;
  for (let wait = firstPauseMs; ; wait = Math.min(wait * 1.3, longestPauseMs)) {
    patience.signal.throwIfAborted();
    let last: unknown = new Error('it does not listen');
    if (await patience.listens()) {
      try {
        return await server.prepare(site);
      } catch (error) {
        last = error;
      }
    }
    if (!(await patience.alive())) throw new NotReady('it ended', { cause: last });
    if (Date.now() > deadline) {
      throw new NotReady(`it does not answer after ${patience.timeoutMs / 1000} s: ${describeError(last)}`, {
        cause: last,
      });
    }
    await pause(wait, undefined, { signal: patience.signal });
  }
}

export function requireSupported(server: Server, version: Version, origin: string): void {
  if (isSupported(version, server.supported)) return;
  throw new LockstepError(
    'LS-STACK-VERSION',
    `${titles[server.name]} ${describeVersion(version)} (${origin}) is not supported: ${describeRange(server.supported)}`,
  );
}
