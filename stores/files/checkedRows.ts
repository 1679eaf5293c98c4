/** What every format gives for a block of records. */
import type { InputRow, Reject } from '../../core/ingest.js';
import type { Block } from './records.js';

export interface CheckedRows {
  readonly rows: readonly InputRow[];
  readonly rejects: readonly Reject[];
}

/** The bytes of record i. */
export function recordOf(block: Block, i: number): Buffer {
  return block.bytes.subarray(block.starts[i] ?? 0, block.ends[i] ?? 0);
}
