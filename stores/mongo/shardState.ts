/**
 * The position document of a shard, one a shard in `<state database>.positions`. Whoever writes it names the epoch and
 * the positions it believes in; a document that says otherwise is left alone.
 */
import type { Binary, Document, UpdateFilter } from 'mongodb';
import { emptyLag } from '../../core/lag.js';
import type { PartitionName, Position } from '../../core/position.js';
import type { Batch, ShardState } from '../../core/store.js';

/** A collection that apply has made sure of; another UUID under the same name means that it was dropped. */
export interface KnownCollection {
  readonly collection: string;
  readonly table: string;
  /** Hex. */
  readonly uuid: string;
}

export interface PositionDocument {
  readonly _id: string;
  readonly pipeline: string;
  readonly shard: number;
  readonly epoch: number;
  /** Session of the owner: what a successor kills before it takes over. */
  readonly lsid: Binary | null;
  readonly incarnation: string;
  /** By `partitionField`. */
  readonly positions: Readonly<Record<string, Position>>;
  readonly applied: number;
  readonly lastEventAt: number;
  readonly lag: readonly number[];
  readonly gaps: readonly string[];
  readonly collections: readonly KnownCollection[];
}

export function positionId(pipeline: string, shard: number): string {
  return `${pipeline}/${shard}`;
}

/** A dot in a field name would be a path; topics hold no comma. */
function partitionField(name: PartitionName): string {
  return name.replaceAll('.', ',');
}

function partitionOfField(field: string): PartitionName {
  return field.replaceAll(',', '.');
}

export function stateOf(document: PositionDocument): ShardState {
  const positions = Object.entries(document.positions).map(
    ([field, { offset, ordinal }]) => [partitionOfField(field), { offset, ordinal }] as const,
  );
  return {
    incarnation: document.incarnation,
    positions: new Map(positions),
    progress: {
      applied: document.applied,
      lastEventAt: document.lastEventAt,
      lag: document.lag.length > 0 ? document.lag : emptyLag(),
    },
    gaps: document.gaps,
  };
}

/** Fields of the document that a state fills. */
export function fieldsOf(
  state: Omit<ShardState, 'progress'>,
): Pick<PositionDocument, 'incarnation' | 'positions' | 'gaps'> {
  const positions = [...state.positions].map(([name, { offset, ordinal }]) => [
    partitionField(name),
    { offset, ordinal },
  ]);
  return {
    incarnation: state.incarnation,
    positions: Object.fromEntries(positions) as Record<string, Position>,
    gaps: [...state.gaps],
  };
}

export interface Advance {
  readonly filter: Document;
  readonly update: UpdateFilter<PositionDocument>;
}

/** Moves the positions of a batch, on condition that the document is ours and stands where the batch begins. */
export function advance(
  id: string,
  epoch: number,
  batch: Batch,
  collections: readonly KnownCollection[] | null,
): Advance {
  const filter: Document = { _id: id, epoch };
  const set: Document = {
    applied: batch.progress.applied,
    lastEventAt: batch.progress.lastEventAt,
    lag: [...batch.progress.lag],
  };
  for (const { partition, from, to } of batch.moves) {
    const path = `positions.${partitionField(partition)}`;
    filter[`${path}.offset`] = from.offset === 0 ? { $in: [null, 0] } : from.offset;
    set[path] = { offset: to.offset, ordinal: to.ordinal };
  }
  if (batch.gaps !== null) set['gaps'] = [...batch.gaps];
  if (collections !== null) set['collections'] = [...collections];
  return { filter, update: { $set: set } };
}
