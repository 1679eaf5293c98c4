/** Connections to MySQL, the log and the stores for the length of one command. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../core/config.js';
import { openClients, type Clients as Opened } from '../workers/clients.js';

export interface Clients extends Omit<Opened, 'close'> {
  readonly config: Config;
}

/** A server that is silent must not hold up a command that has its answer. */
const closeWithinMs = 500;

export async function withClients<T>(config: Config, work: (clients: Clients) => Promise<T>): Promise<T> {
  const clients = openClients(config);
  try {
    return await work({ config, ...clients });
  } finally {
    await Promise.race([clients.close(), sleep(closeWithinMs, undefined, { ref: false })]);
  }
}
