/** What an ingest is about to do, and what a dry run found, in words. */
import { rejectReasons, type IngestPlan, type RejectReason } from '../core/ingest.js';
import type { DryRun } from '../stages/ingestDryRun.js';

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

/** Grouped by thousands, without relying on a locale. */
export function count(value: number): string {
  return String(Math.round(value)).replaceAll(/\B(?=(\d{3})+$)/g, ',');
}

export function fileName(plan: Pick<IngestPlan, 'files'>, index: number): string {
  const file = plan.files[index];
  if (file === undefined) return '';
  return file.entry === null ? file.path : `${file.path}: ${file.entry}`;
}
