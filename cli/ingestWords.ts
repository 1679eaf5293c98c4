/** What an ingest is about to do, and what a dry run found, in words. */
import { rejectReasons, type IngestPlan, type RejectReason } from '../core/ingest.js';
import type { DryRun } from '../stages/ingestDryRun.js';
import type { RejectedRow } from '../stores/files/rejectFile.js';

export function planLine({ files, definition, records, reading, columns }: IngestPlan): string {
  const what = files.length === 1 ? (files[0]?.path ?? '') : `${files.length} files`;
  const given = columns.map(({ name, field }) => (name === field ? name : `${field} as ${name}`)).join(', ');
  return `${what} (${reading.format}, ${count(records)} records) → ${definition.table}: ${given}`;
}

export function dryRunText(table: string, { records, accepted, reasons }: DryRun): string {
  return [
    `${table}: ${count(accepted)} of ${count(records)} records fit; nothing was written`,
    ...(Object.entries(reasons) as [RejectReason, number][]).map(
      ([reason, rows]) => `  ${count(rows)} ${reason}: ${rejectReasons[reason]}`,
    ),
    '  keys that are taken, foreign keys and CHECKs are only known by loading',
  ].join('\n');
}

const kindsShown = 5;

/** Counts rejected rows by what is wrong, on their way into a file: for people, the first line of each kind says most. */
export class RejectKinds {
  readonly #kinds = new Map<string, { readonly first: RejectedRow; rows: number }>();

  async *counted(rejects: AsyncIterable<RejectedRow>): AsyncIterable<RejectedRow> {
    for await (const reject of rejects) {
      const name = JSON.stringify([reject.reason, reject.column, reject.detail]);
      const kind = this.#kinds.get(name) ?? { first: reject, rows: 0 };
      kind.rows += 1;
      this.#kinds.set(name, kind);
      yield reject;
    }
  }

  /** The most frequent ones. No value: the row itself stands in the file. */
  words(): readonly string[] {
    const kinds = [...this.#kinds.values()].sort((a, b) => b.rows - a.rows);
    const lines = kinds.slice(0, kindsShown).map(({ first: { reason, column, detail, line }, rows }) => {
      const what = [reason, ...(column === null ? [] : [column]), ...(detail === null ? [] : [detail])].join(', ');
      return `  line ${line}: ${what}${rows === 1 ? '' : `, and ${count(rows - 1)} more such`}`;
    });
    return kinds.length > kindsShown ? [...lines, `  and ${kinds.length - kindsShown} other kinds`] : lines;
  }
}

/** Grouped by thousands, without relying on a locale. */
export function count(value: number): string {
  return String(Math.round(value)).replaceAll(/\B(?=(\d{3})+$)/g, ',');
}

export function fileName(plan: Pick<IngestPlan, 'files'>, index: number): string {
  const file = plan.files[index];
  if (file === undefined) return '';
  return file.entry === null ? file.path : `${file.path}: ${file.entry}`;
}
