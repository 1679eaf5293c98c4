/** A look at every record of a plan without writing anything: what an ingest would take, and what it would reject. */
import type { IngestPlan, ReadChunks, Reject } from '../core/ingest.js';
import { beginning } from '../core/ingest.js';

export interface DryRun {
  readonly records: number;
  /** Rows that MySQL would be given; keys that are taken, foreign keys and CHECKs are only known by writing. */
  readonly accepted: number;
  readonly rejected: number;
  readonly reasons: Readonly<Record<string, number>>;
}

/** Rejects as they are found; afterwards `result` holds the count. */
export async function* dryRun(
  plan: IngestPlan,
  readChunks: ReadChunks,
  onRecords: (records: number) => void,
  onEnd: (result: DryRun) => void,
  signal?: AbortSignal,
): AsyncGenerator<Reject & { readonly fileIndex: number }> {
  const reasons: Record<string, number> = {};
  let [records, accepted] = [0, 0];
  for await (const chunk of readChunks(plan, beginning, signal)) {
    records += chunk.records;
    accepted += chunk.rows.length;
    for (const reject of chunk.rejects) {
      reasons[reject.reason] = (reasons[reject.reason] ?? 0) + 1;
      yield { ...reject, fileIndex: chunk.from.file };
    }
    onRecords(records);
  }
  onEnd({ records, accepted, rejected: records - accepted, reasons });
}
