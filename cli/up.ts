/**
 * `lockstep up`: the five local servers. Progress goes to stderr, one plain line at a time; stdout holds the result alone.
 */
import { LockstepError } from '../core/errors.js';
import { type Stack, up as upStack } from '../temporal-compose/stack.js';

export interface UpArguments {
  readonly json: boolean;
  /** The state folder; default `.lockstep`. */
  readonly root?: string | undefined;
}

export async function up(args: UpArguments): Promise<Stack> {
  const interruption = new AbortController();
  const interrupt = (): void => {
    process.stderr.write('interrupted: stopping what was started\n');
    interruption.abort(new LockstepError('LS-STACK-STOPPED', 'interrupted before every server answered'));
  };
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  try {
    const stack = await upStack({
      root: args.root,
      signal: interruption.signal,
      onProgress: (line) => process.stderr.write(`${line}\n`),
    });
    process.stdout.write(args.json ? `${JSON.stringify(stack)}\n` : describe(stack));
    return stack;
  } finally {
    process.removeListener('SIGINT', interrupt);
    process.removeListener('SIGTERM', interrupt);
  }
}

/** For a terminal, which others may see: without the passwords. */
function describe(stack: Stack): string {
  const place = (uri: string): string => new URL(uri).host;
  return [
    `MySQL      ${place(stack.mysql.uri)}`,
    `MongoDB    ${place(stack.mongo.uri)}`,
    `Redis      ${place(stack.redis.uri)}`,
    `Kafka      ${stack.kafka.brokers.join(', ')}`,
    `Temporal   ${stack.temporal.address}, web UI ${stack.temporal.ui}`,
    'With users and passwords: lockstep up --json. To stop them: lockstep down',
    '',
  ].join('\n');
}
