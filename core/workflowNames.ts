/**
 * Names of a pipeline's workflows and task queues. The ids are the pipeline's identity in Temporal: starting a
 * workflow twice finds the first one.
 */
import type { StoreName } from './store.js';

export type QueueName = 'control' | 'capture' | 'mongo' | 'redis' | 'ingest' | 'sweep';

export const queueNames: readonly QueueName[] = ['control', 'capture', 'mongo', 'redis', 'ingest', 'sweep'];

export function taskQueue(pipeline: string, queue: QueueName): string {
  return `lockstep/${pipeline}/${queue}`;
}

export function pipelineId(pipeline: string): string {
  return `lockstep/${pipeline}`;
}

export function captureId(pipeline: string): string {
  return `${pipelineId(pipeline)}/capture`;
}

/** One shard has no number in its name. */
export function applyId(pipeline: string, store: StoreName, shard: number, shards: number): string {
  const id = `${pipelineId(pipeline)}/apply/${store}`;
  return shards === 1 ? id : `${id}/${shard}`;
}

export function snapshotId(pipeline: string, table: string): string {
  return `${pipelineId(pipeline)}/snapshot/${table}`;
}

/** A sweep of the whole pipeline, or of one table: at most one of each at a time. */
export function validateId(pipeline: string, table: string | null): string {
  return table === null ? `${pipelineId(pipeline)}/validate` : `${pipelineId(pipeline)}/validate/${table}`;
}

/** Sweeps that a Schedule starts: Temporal puts the time behind the workflow's id. */
export function scheduleId(pipeline: string, name: string): string {
  return `${pipelineId(pipeline)}/schedule/${name}`;
}

/** Every stream of a pipeline: one capture, one apply for each store and shard. */
export type Stream =
  { readonly kind: 'capture' } | { readonly kind: 'apply'; readonly store: StoreName; readonly shard: number };

export function streamsOf(stores: readonly StoreName[], shards: number): readonly Stream[] {
  const applies = stores.flatMap((store) =>
    Array.from({ length: shards }, (_, shard) => ({ kind: 'apply', store, shard }) as const),
  );
  return [{ kind: 'capture' }, ...applies];
}

export function streamId(pipeline: string, stream: Stream, shards: number): string {
  return stream.kind === 'capture' ? captureId(pipeline) : applyId(pipeline, stream.store, stream.shard, shards);
}

export function streamQueue(stream: Stream): QueueName {
  return stream.kind === 'capture' ? 'capture' : stream.store;
}
