/** Ends of the log as a JSON column holds them. */
import { LockstepError } from '../../core/errors.js';
import type { OffsetVector } from '../../core/position.js';

export function encodeVector(vector: OffsetVector): string {
  return JSON.stringify(Object.fromEntries(vector));
}

export function decodeVector(text: string): OffsetVector {
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed !== 'object' || parsed === null) throw new LockstepError('LS-INTERNAL', 'a vector without offsets');
  return new Map(Object.entries(parsed).map(([name, offset]) => [name, Number(offset)]));
}
