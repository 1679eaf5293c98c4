/**
 * A port of 127.0.0.1 that nothing listens on, below those that the kernel gives to outgoing connections: one of these
 * would be anybody's again before a server has it.
 */
import { createServer } from 'node:net';

const lowest = 15_000;
const beyond = 32_000;

export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = lowest + Math.floor(Math.random() * (beyond - lowest));
    if (await isFree(port)) return port;
  }
  throw new Error(`no port between ${lowest} and ${beyond} could be had`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const listens = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => resolve(true));
  });
  if (listens) await new Promise<void>((resolve) => server.close(() => resolve()));
  return listens;
}
