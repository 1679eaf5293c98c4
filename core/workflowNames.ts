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

export function witnessId(pipeline: string): string {
  return `${pipelineId(pipeline)}/witness`;
}

/** One shard has no number in its name. */
export function applyId(pipeline: string, store: StoreName, shard: number, shards: number): string {
  const id = `${pipelineId(pipeline)}/apply/${store}`;
  return shards === 1 ? id : `${id}/${shard}`;
}

/** Behind the apply of the same store and shard. */
export function verifyId(pipeline: string, store: StoreName, shard: number, shards: number): string {
  const id = `${pipelineId(pipeline)}/verify/${store}`;
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

export function ingestId(pipeline: string, table: string, ingest: string): string {
  return `${pipelineId(pipeline)}/ingest/${table}/${ingest}`;
}

/** Every stream of a pipeline: a capture, where wanted a witness; an apply, where wanted a verify, for each store and shard. */
export type Stream =
  | { readonly kind: 'capture' }
  | { readonly kind: 'witness' }
  | { readonly kind: 'apply'; readonly store: StoreName; readonly shard: number }
  | { readonly kind: 'verify'; readonly store: StoreName; readonly shard: number };

/** What decides which streams a pipeline has. One that was started before verify or witness existed has none of them. */
export interface StreamScope {
  readonly stores: readonly StoreName[];
  readonly shards: number;
  readonly verify?: boolean;
  readonly witness?: boolean;
}

export function streamsOf({ stores, shards, verify = false, witness = false }: StreamScope): readonly Stream[] {
  const each = <K extends 'apply' | 'verify'>(kind: K) =>
    stores.flatMap((store) => Array.from({ length: shards }, (_, shard) => ({ kind, store, shard }) as const));
  return [
    { kind: 'capture' },
    ...each('apply'),
    ...(verify ? each('verify') : []),
    ...(witness ? [{ kind: 'witness' } as const] : []),
  ];
}

export function streamId(pipeline: string, stream: Stream, shards: number): string {
  switch (stream.kind) {
    case 'capture':
      return captureId(pipeline);
    case 'witness':
      return witnessId(pipeline);
    case 'apply':
      return applyId(pipeline, stream.store, stream.shard, shards);
    case 'verify':
      return verifyId(pipeline, stream.store, stream.shard, shards);
  }
}

/** As search attribute, and as the place of a trouble. */
export function streamStage(stream: Stream): string {
  return 'store' in stream ? `${stream.kind}/${stream.store}` : stream.kind;
}

export function streamSummary(stream: Stream): string {
  switch (stream.kind) {
    case 'capture':
      return 'change log → Kafka';
    case 'witness':
      return 'binary log against change log';
    case 'apply':
      return `Kafka → ${stream.store}, shard ${stream.shard}`;
    case 'verify':
      return `Kafka ↔ ${stream.store}, shard ${stream.shard}`;
  }
}

export function streamQueue(stream: Stream): QueueName {
  return 'store' in stream ? stream.store : 'capture';
}
