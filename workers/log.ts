/** What a worker says: one JSON object a line on stderr, warnings and errors only unless asked for more. */
import { draining } from '../activities/run.js';
import {
  DefaultLogger,
  makeTelemetryFilterString,
  Runtime,
  type LogLevel,
  type RuntimeOptions,
} from '@temporalio/worker';
import { LockstepError } from '../core/errors.js';

/** Once a process, before the first connection. Signals are the caller's: they end a worker gracefully in one place. */
export function installRuntime(options: { readonly level?: LogLevel; readonly metricsAddress?: string } = {}): void {
  const level = options.level ?? 'WARN';
  const logger = new DefaultLogger(level, ({ level: severity, message, meta, timestampNanos }) => {
    // A queue without workflows is meant to have none.
    if (message.startsWith('No workflows registered')) return;
    const facts = plain(meta);
    // Nothing failed: another worker goes on, and a line at the end says that this one has drained.
    if (message === 'Activity failed' && facts['error'] === `CancelledFailure: ${draining}`) return;
    const now = Number(timestampNanos / 1_000_000n);
    if (
      isRepetition(
        `${severity} ${message.replaceAll(/\d+/g, '')} ${String(facts['workflowId'])} ${String(facts['error'])}`,
        now,
      )
    )
      return;
    const at = new Date(now).toISOString();
    process.stderr.write(`${JSON.stringify({ at, level: severity, message, ...facts })}\n`);
  });
  const logging = { forward: {}, filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }) };
  const common = { logger, shutdownSignals: [] };
  if (options.metricsAddress === undefined) Runtime.install({ ...common, telemetryOptions: { logging } });
  else installWithMetrics({ ...common, telemetryOptions: { logging } }, options.metricsAddress);
}

/** @throws LockstepError LS-METRICS-ADDRESS where nothing can listen there. */
function installWithMetrics(options: RuntimeOptions, address: string): void {
  try {
    const metrics = { prometheus: { bindAddress: address } };
    Runtime.install({ ...options, telemetryOptions: { ...options.telemetryOptions, metrics } });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new LockstepError('LS-METRICS-ADDRESS', `metrics cannot be served at ${address}: ${reason}`);
  }
}

/** A stream that is tried again twice a second says the same each time: one line in ten seconds is enough. */
const quietMs = 10_000;
const said = new Map<string, number>();

function isRepetition(text: string, now: number): boolean {
  if (now - (said.get(text) ?? 0) < quietMs) return true;
  if (said.size > 1_000) said.clear();
  said.set(text, now);
  return false;
}

/** What nobody reads. */
const dropped = new Set(['taskToken', 'namespace', 'workflowRunId', 'isLocal', 'activityId', 'sdkComponent']);

/** An Error becomes its name and message; what JSON cannot hold becomes text. */
function plain(meta: Readonly<Record<string | symbol, unknown>> | undefined): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(meta ?? {})
      .filter(([name]) => !dropped.has(name))
      .map(([name, value]) => {
        if (value instanceof Error) return [name, `${value.name}: ${value.message}`];
        return [name, typeof value === 'bigint' ? value.toString() : value];
      }),
  );
}
