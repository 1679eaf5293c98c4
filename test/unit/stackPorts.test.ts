import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { listeningInodes, isListening } from '../../temporal-compose/listener.js';
import { chooseFreePort, choosePorts, exchangeTaken, isFree } from '../../temporal-compose/ports.js';
import { usualPorts } from '../../temporal-compose/server-name.js';

const all = (): Promise<boolean> => Promise.resolve(true);
/** The same sequence every time. */
function sequence(...numbers: number[]): () => number {
  let i = 0;
  return () => numbers[i++ % numbers.length] ?? 0;
}

describe('choosePorts', () => {
  test('takes the usual ports where they are free', async () => {
    expect(await choosePorts('usual', all)).toEqual(usualPorts);
  });

  test('replaces only the usual ports that are taken', async () => {
    const taken = new Set<number>([usualPorts.mysql, usualPorts.temporalUi]);
    const ports = await choosePorts('usual', (port) => Promise.resolve(!taken.has(port)));
    expect(ports.mysql).not.toBe(usualPorts.mysql);
    expect(ports.temporalUi).not.toBe(usualPorts.temporalUi);
    expect(ports.mongo).toBe(usualPorts.mongo);
  });

  test('gives seven different ports below the range of outgoing connections', async () => {
    // Every draw comes twice: the second must be refused, though nobody listens there yet.
    const draws = [0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.4, 0.5, 0.5, 0.6, 0.6, 0.7, 0.7];
    const ports = Object.values(await choosePorts('free', all, sequence(...draws)));
    expect(new Set(ports).size).toBe(7);
    for (const port of ports) {
      expect(port).toBeGreaterThanOrEqual(15_000);
      expect(port).toBeLessThan(32_000);
    }
  });

  test('gives up when nothing is free', async () => {
    const none = (): Promise<boolean> => Promise.resolve(false);
    await expect(chooseFreePort(new Set(), none)).rejects.toMatchObject({ code: 'LS-STACK-START' });
  });
});

describe('exchangeTaken', () => {
  test('leaves alone what is free, and what was not asked for', async () => {
    expect(await exchangeTaken(['mysql', 'redis'], usualPorts, all)).toEqual({});
    const free = (port: number): Promise<boolean> => Promise.resolve(port !== usualPorts.kafka);
    expect(await exchangeTaken(['mysql', 'redis'], usualPorts, free)).toEqual({});
  });

  test('gives two servers that lost theirs two different ports', async () => {
    const free = (port: number): Promise<boolean> => Promise.resolve(port >= 15_000);
    const changed = await exchangeTaken(['mysql', 'redis'], usualPorts, free, sequence(0.1, 0.1, 0.2));
    expect(Object.keys(changed).toSorted()).toEqual(['mysql', 'redis']);
    expect(changed.mysql).not.toBe(changed.redis);
  });
});

describe('a port that somebody listens on', () => {
  let server: Server | undefined;
  afterEach(() => server?.close());

  async function listen(): Promise<number> {
    const port = await chooseFreePort(new Set());
    const listening = createServer();
    server = listening;
    await new Promise<void>((resolve) => listening.listen(port, '127.0.0.1', resolve));
    return port;
  }

  test('is not free', async () => {
    const port = await listen();
    expect(await isFree(port)).toBe(false);
    await new Promise((resolve) => server?.close(resolve));
    expect(await isFree(port)).toBe(true);
  });

  test.runIf(process.platform === 'linux')('belongs to the process that listens, and to no other', async () => {
    const port = await listen();
    expect(await isListening(process.pid, port)).toBe(true);
    expect(await isListening(process.ppid, port)).toBe(false);
    await new Promise((resolve) => server?.close(resolve));
    expect(await isListening(process.pid, port)).toBe(false);
  });
});

test('listeningInodes leaves out other ports and other states', () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:33FA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1111 1 0 100 0 0 10 0
   1: 0100007F:33FA 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 2222 1 0 20 4 30 10 -1
   2: 0100007F:3333 0100007F:33FA 0A 00000000:00000000 00:00000000 00000000     0        0 3333 1 0 20 4 30 10 -1
`;
  expect(listeningInodes(table, 0x33fa)).toEqual(['1111']);
  expect(listeningInodes(table, 80)).toEqual([]);
});
