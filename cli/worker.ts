/** `lockstep worker`: runs the pipeline's work until told to stop; SIGTERM and SIGINT drain. */
import { InvalidArgumentError, type Command } from 'commander';
import { queueNames, type QueueName } from '../core/workflowNames.js';
import { addCommand, configOf, withConfig, type FileOption } from './command.js';

/** `stream` stands for capture and both stores, which one process serves best together. */
const groups: Readonly<Record<string, readonly QueueName[]>> = { stream: ['capture', 'mongo', 'redis'] };

type Options = FileOption & { readonly queues?: readonly QueueName[]; readonly metrics?: string };

export function addWorker(program: Command): void {
  const command = addCommand(program, {
    name: 'worker',
    summary: 'Does the work of a pipeline until it is told to stop. Any number may run, on any machine.',
    examples: [
      'lockstep worker',
      'lockstep worker --queues stream            # capture and both stores, nothing else',
      'lockstep worker --queues control,ingest    # the workflows and the copies',
    ],
  })
    .option(
      '--queues <names>',
      `what to work on: ${[...queueNames, 'stream'].join(', ')}; everything by default`,
      parseQueues,
    )
    .option('--metrics <host:port>', 'serve metrics for Prometheus there', hostPort);
  withConfig(command).action(async (options: Options) => {
    const { boundHeap } = await import('../workers/heap.js');
    boundHeap();
    const config = await configOf(options);
    const { runWorker } = await import('../workers/main.js');
    const metrics = options.metrics === undefined ? {} : { metricsAddress: options.metrics };
    await runWorker(config, options.queues ?? queueNames, metrics);
  });
}

export function hostPort(text: string): string {
  if (/^[\w.[\]:-]+:\d{1,5}$/.test(text)) return text;
  throw new InvalidArgumentError('Allowed: host:port, such as 127.0.0.1:9464.');
}

export function parseQueues(text: string): readonly QueueName[] {
  const chosen = text.split(',').flatMap((part) => {
    const name = part.trim();
    const queues = Object.hasOwn(groups, name) ? groups[name] : queueNames.filter((queue) => queue === name);
    if (queues === undefined || queues.length === 0) {
      throw new InvalidArgumentError(
        `${name === '' ? 'An empty name' : name} is no queue. Allowed: ${[...queueNames, 'stream'].join(', ')}.`,
      );
    }
    return queues;
  });
  return [...new Set(chosen)];
}
