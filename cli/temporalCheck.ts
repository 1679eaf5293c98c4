/** Whether Temporal answers, knows the namespace, and has or takes the search attributes. */
import { connect } from 'node:tls';
import type { Config, TemporalConfig } from '../core/config.js';
import { LockstepError } from '../core/errors.js';
import { problemOf, type Problem } from '../core/problem.js';
import { isTlsFailure } from '../core/tlsFailure.js';
import { connectClient, temporalFailure } from '../workers/temporal.js';

const answerMs = 5_000;

export async function checkTemporal({ temporal }: Config): Promise<readonly Problem[]> {
  try {
    const client = await connectClient(temporal);
    try {
      await client.connection.withDeadline(Date.now() + answerMs, () =>
        client.workflowService.describeNamespace({ namespace: temporal.namespace }),
      );
      return [];
    } finally {
      await client.connection.close();
    }
  } catch (error) {
    return [problemOf((await tlsTrouble(temporal)) ?? temporalFailure(error, temporal))];
  }
}

/** gRPC says of a handshake that failed no more than that time ran out: so it is tried once by itself. */
async function tlsTrouble({ address, tls, apiKey }: TemporalConfig): Promise<LockstepError | null> {
  if (tls === null && apiKey === null) return null;
  const [, host = '', port = ''] = /^\[?(.+?)\]?:(\d+)$/.exec(address) ?? [];
  const names = tls?.servername === undefined ? {} : { servername: tls.servername };
  const pair = {
    ...(tls?.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls?.key === undefined ? {} : { key: tls.key }),
  };
  const options = {
    host,
    port: Number(port),
    ALPNProtocols: ['h2'],
    ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
    ...names,
    ...pair,
  };
  const failure = await new Promise<unknown>((resolve) => {
    const socket = connect(options, () => {
      socket.destroy();
      resolve(null);
    });
    socket.setTimeout(answerMs, () => socket.destroy(new Error('no answer')));
    socket.once('error', resolve);
  });
  if (!isTlsFailure(failure)) return null;
  const text = failure instanceof Error ? failure.message : String(failure);
  return new LockstepError('LS-TEMPORAL-TLS', `Temporal at ${address}: ${text}`, { cause: failure });
}
