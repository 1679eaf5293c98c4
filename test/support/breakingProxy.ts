/** A TCP proxy that breaks at the worst moment: just before, or just after, the server received a given text. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export interface BreakingProxy {
  readonly port: number;
  /** At the next occurrence of the text from the client: hand it on or not, then drop every connection and refuse new ones. */
  breakAt(text: string, handOn: boolean): void;
  readonly broken: boolean;
  /** Connections that were turned away so far. */
  readonly refused: number;
  /** At once. */
  cut(): void;
  mend(): void;
  close(): Promise<void>;
}

export async function startBreakingProxy(target: { host: string; port: number }): Promise<BreakingProxy> {
  const proxy = new Proxy(target);
  proxy.server.listen(0, '127.0.0.1');
  await once(proxy.server, 'listening');
  return proxy;
}

class Proxy implements BreakingProxy {
  readonly server: Server;
  broken = false;
  refused = 0;
  #trigger: { readonly text: string; readonly handOn: boolean } | null = null;
  readonly #pairs = new Set<{ readonly client: Socket; readonly upstream: Socket }>();

  constructor(target: { host: string; port: number }) {
    this.server = createServer((client) => this.#accept(client, target));
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  breakAt(text: string, handOn: boolean): void {
    this.#trigger = { text, handOn };
  }

  cut(): void {
    this.#break();
  }

  mend(): void {
    this.broken = false;
  }

  async close(): Promise<void> {
    for (const { client, upstream } of this.#pairs) {
      client.destroy();
      upstream.destroy();
    }
    this.server.close();
    await once(this.server, 'close');
  }

  #accept(client: Socket, target: { host: string; port: number }): void {
    client.on('error', () => undefined);
    if (this.broken) {
      this.refused += 1;
      client.destroy();
      return;
    }
    const upstream = connect(target);
    upstream.on('error', () => undefined);
    const pair = { client, upstream };
    this.#pairs.add(pair);
    upstream.on('data', (bytes) => {
      if (!this.broken) client.write(bytes);
    });
    client.on('data', (bytes) => {
      if (this.broken) return;
      const trigger = this.#trigger;
      if (trigger === null || !bytes.includes(trigger.text)) {
        upstream.write(bytes);
        return;
      }
      this.#trigger = null;
      if (trigger.handOn) upstream.write(bytes);
      this.#break();
    });
    client.on('close', () => {
      this.#pairs.delete(pair);
      upstream.end();
    });
    upstream.on('close', () => client.destroy());
  }

  #break(): void {
    this.broken = true;
    for (const { client } of this.#pairs) client.destroy();
  }
}
