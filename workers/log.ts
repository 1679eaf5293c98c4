/** What a worker says: one JSON object a line on stderr, warnings and errors only unless asked for more. */
import { DefaultLogger, makeTelemetryFilterString, Runtime, type LogLevel } from '@temporalio/worker';

/** Once a process, before the first connection. Signals are the caller's: they end a worker gracefully in one place. */
export function installRuntime(options: { readonly level?: LogLevel; readonly metricsAddress?: string } = {}): void {
  const level = options.level ?? 'WARN';
  const logger = new DefaultLogger(level, ({ level: severity, message, meta, timestampNanos }) => {
    // A queue without workflows is meant to have none.
    if (message.startsWith('No workflows registered')) return;
    const at = new Date(Number(timestampNanos / 1_000_000n)).toISOString();
    process.stderr.write(`${JSON.stringify({ at, level: severity, message, ...plain(meta) })}\n`);
  });
  Runtime.install({
    logger,
    shutdownSignals: [],
    telemetryOptions: {
      logging: { forward: {}, filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }) },
      ...(options.metricsAddress === undefined
        ? {}
        : { metrics: { prometheus: { bindAddress: options.metricsAddress } } }),
    },
  });
}

/** An Error becomes its name and message; what JSON cannot hold becomes text. */
function plain(meta: Readonly<Record<string | symbol, unknown>> | undefined): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(meta ?? {}).map(([name, value]) => {
      if (value instanceof Error) return [name, `${value.name}: ${value.message}`];
      return [name, typeof value === 'bigint' ? value.toString() : value];
    }),
  );
}
