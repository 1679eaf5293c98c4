/**
 * A broker between capture and the broker: passes everything on until it is told to cut connections, or to swallow the
 * answer to a commit. Knows of the protocol only where a request begins and what it asks.
 */
import net from 'node:net';
import type { Dial } from '../../stores/kafka/client.js';

/** EndTxn. */
const commit = 26;

export class KafkaProxy {
  /** Answers to commits that never reached the client. */
  swallowed = 0;
  readonly #server = net.createServer((client) => this.#serve(client));
  readonly #pairs = new Set<[net.Socket, net.Socket]>();
  readonly #target: { host: string; port: number };
  #swallow = 0;
  #cutAtCommit = 0;
  /** Bytes that the brokers may answer until every connection is reset; null: as many as they like. */
  #answersLeft: number | null = null;

  constructor(broker: string) {
    const [host = '', port] = broker.split(':');
    this.#target = { host, port: Number(port) };
  }

  async listen(): Promise<Dial> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const { port } = this.#server.address() as net.AddressInfo;
    return () => ({ host: '127.0.0.1', port });
  }

  /** Resets every connection. */
  cut(): void {
    for (const [client, broker] of this.#pairs) {
      client.resetAndDestroy();
      broker.destroy();
    }
  }

  /** Resets every connection once so many more bytes of answers have passed: in the middle of one. */
  cutAfter(bytes: number): void {
    this.#answersLeft = bytes;
  }

  /** The next commits reach the broker; their answers reach nobody, and the connections break. */
  swallowCommits(count: number): void {
    this.#swallow = count;
  }

  /** The next commits never reach the broker: the connection breaks instead. */
  cutAtCommit(count: number): void {
    this.#cutAtCommit = count;
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #answer(client: net.Socket, chunk: Buffer): void {
    if (this.#answersLeft === null || chunk.length < this.#answersLeft) {
      if (this.#answersLeft !== null) this.#answersLeft -= chunk.length;
      client.write(chunk);
      return;
    }
    // What was read of it must arrive first: a reset throws away what the other side has not read.
    client.write(chunk.subarray(0, this.#answersLeft), () => setTimeout(() => this.cut(), 20));
    this.#answersLeft = null;
  }

  #serve(client: net.Socket): void {
    const broker = net.connect(this.#target);
    const pair: [net.Socket, net.Socket] = [client, broker];
    this.#pairs.add(pair);
    let swallowing = false;
    let pending = Buffer.alloc(0);
    client.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 6 && pending.length >= 4 + pending.readInt32BE(0)) {
        const isCommit = pending.readInt16BE(4) === commit;
        if (isCommit && this.#cutAtCommit > 0) {
          this.#cutAtCommit -= 1;
          client.resetAndDestroy();
          broker.destroy();
          return;
        }
        if (isCommit && this.#swallow > 0) {
          this.#swallow -= 1;
          swallowing = true;
        }
        pending = pending.subarray(4 + pending.readInt32BE(0));
      }
      broker.write(chunk);
    });
    broker.on('data', (chunk: Buffer) => {
      if (!swallowing) {
        this.#answer(client, chunk);
        return;
      }
      this.swallowed += 1;
      client.resetAndDestroy();
      broker.destroy();
    });
    for (const [one, other] of [pair, [broker, client] as const]) {
      one.on('error', () => other.destroy());
      one.on('close', () => {
        other.destroy();
        this.#pairs.delete(pair);
      });
    }
  }
}
