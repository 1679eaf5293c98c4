/**
 * What a cell of a result may hold, and its narrowing. Dates and JSON arrive as text, integers above 2^53 and DECIMAL
 * as text, BIT and binary types as bytes.
 */
import { LockstepError } from '../../core/errors.js';

export type Cell = string | number | Buffer | null;
export type Row = readonly Cell[];

export function asText(cell: Cell | undefined): string {
  if (typeof cell === 'string') return cell;
  if (typeof cell === 'number') return String(cell);
  if (Buffer.isBuffer(cell)) return cell.toString('utf8');
  throw unexpected('text', cell);
}

export function asTextOrNull(cell: Cell | undefined): string | null {
  return cell === null ? null : asText(cell);
}

/** An integer that must be exact. */
export function asCount(cell: Cell | undefined): number {
  const count = typeof cell === 'number' ? cell : typeof cell === 'string' ? Number(cell) : Number.NaN;
  if (!Number.isSafeInteger(count)) throw unexpected('an exact integer', cell);
  return count;
}

export function asCountOrNull(cell: Cell | undefined): number | null {
  return cell === null ? null : asCount(cell);
}

export function asBytes(cell: Cell | undefined): Buffer {
  if (Buffer.isBuffer(cell)) return cell;
  throw unexpected('bytes', cell);
}

export function asBytesOrNull(cell: Cell | undefined): Buffer | null {
  return cell === null ? null : asBytes(cell);
}

function unexpected(wanted: string, cell: Cell | undefined): LockstepError {
  return new LockstepError('LS-INTERNAL', `a result cell of type ${typeof cell} stands where ${wanted} belongs`);
}
