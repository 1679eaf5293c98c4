/** The state hash of a shard: fields and values, all text. Positions are `p:<partition>` → `<offset>:<ordinal>`. */
import { LockstepError } from '../../core/errors.js';
import { emptyLag } from '../../core/lag.js';
import { redisStateKey } from '../../core/names.js';
import type { PartitionName, Position } from '../../core/position.js';
import type { Progress, ShardState } from '../../core/store.js';

export function stateKey(prefix: string, shard: number): string {
  return redisStateKey(prefix, `apply:${shard}`);
}

/** As many as the configuration allows: whoever does not know how many there are looks at all of them. */
export const mostShards = 64;

export function parkedHashKey(prefix: string, shard: number): string {
  return redisStateKey(prefix, `parked:${shard}`);
}

export function claimKey(prefix: string): string {
  return redisStateKey(prefix, 'claim');
}

export function positionField(partition: PartitionName): string {
  return `p:${partition}`;
}

export function positionText({ offset, ordinal }: Position): string {
  return `${offset}:${ordinal}`;
}

export function progressFields(progress: Progress): string[] {
  return [
    'applied',
    String(progress.applied),
    'lastEventAt',
    String(progress.lastEventAt),
    'lag',
    progress.lag.join(','),
  ];
}

/** Whether deletes have gone ahead of the position. The write that moves the position again takes it back. */
export function aheadField(ahead: boolean): string[] {
  return ['deletesAhead', ahead ? '1' : '0'];
}

export function isAhead(fields: ReadonlyMap<string, string>): boolean {
  return fields.get('deletesAhead') === '1';
}

export function gapsField(gaps: readonly string[]): string[] {
  return ['gaps', JSON.stringify(gaps)];
}

export function fieldsOf(state: Omit<ShardState, 'progress'>): string[] {
  return [
    'incarnation',
    state.incarnation,
    ...gapsField(state.gaps),
    ...[...state.positions].flatMap(([partition, position]) => [positionField(partition), positionText(position)]),
  ];
}

export function stateOf(fields: ReadonlyMap<string, string>): ShardState & { readonly epoch: number } {
  const positions = new Map<PartitionName, Position>();
  for (const [field, text] of fields) {
    if (!field.startsWith('p:')) continue;
    const [offset, ordinal] = text.split(':');
    positions.set(field.slice(2), { offset: Number(offset), ordinal: Number(ordinal) });
  }
  const lag = fields.get('lag');
  return {
    epoch: Number(required(fields, 'epoch')),
    incarnation: required(fields, 'incarnation'),
    positions,
    progress: {
      applied: Number(fields.get('applied') ?? 0),
      lastEventAt: Number(fields.get('lastEventAt') ?? 0),
      lag: lag === undefined ? emptyLag() : lag.split(',').map(Number),
    },
    gaps: JSON.parse(fields.get('gaps') ?? '[]') as string[],
  };
}

/** A flat list as HGETALL gives it inside a script. */
export function fieldMap(flat: readonly unknown[]): Map<string, string> {
  const fields = new Map<string, string>();
  for (let i = 0; i + 1 < flat.length; i += 2) fields.set(String(flat[i]), String(flat[i + 1]));
  return fields;
}

function required(fields: ReadonlyMap<string, string>, name: string): string {
  const value = fields.get(name);
  if (value === undefined) throw new LockstepError('LS-INTERNAL', `the state hash in Redis has no field ${name}`);
  return value;
}
