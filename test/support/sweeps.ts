/** Sweeps as tests drive them: the command, what it found, and how far it is in MySQL. */
import type { RowDataPacket } from 'mysql2/promise';
import type { SweepReport } from '../../stages/sweepReport.js';
import type { Pipeline } from './pipeline.js';

export type Validated = SweepReport & { readonly code: number };

/** Collections have validators: whoever edits past lockstep may pass them by as well. */
export const past = { bypassDocumentValidation: true };

/** Throws what the command said when it gave no report. */
export async function validate(pipeline: Pipeline, ...args: string[]): Promise<Validated> {
  const { code, stdout, stderr } = await pipeline.cli('validate', '--json', ...args);
  if (stdout === '') {
    throw new Error(`validate ended with ${code}: ${stderr}\n${pipeline.workers.map((w) => w.log()).join('\n')}`);
  }
  return { ...(JSON.parse(stdout) as SweepReport), code };
}

/** `<store> <table> <key> <kind> <cause>[ <fields>]`, in order. */
export function found(report: SweepReport): string[] {
  return report.keys
    .map(
      (k) =>
        `${k.store} ${k.table} ${k.key} ${k.kind} ${k.cause}${k.fields === undefined ? '' : ` ${k.fields.join()}`}`,
    )
    .toSorted();
}

/** `<store> <table> <key> <kind> <cause>` of what is open now, in order. */
export async function openDrift(pipeline: Pipeline): Promise<string[]> {
  const rows = await state(pipeline, 'SELECT store, name, `key`, kind, cause FROM {db}.drift WHERE open = 1');
  return rows.map((d) => `${d['store']} ${d['name']} ${d['key']} ${d['kind']} ${d['cause']}`).toSorted();
}

/** A question to the state database, `{db}`. */
export async function state(pipeline: Pipeline, sql: string, values: unknown[] = []): Promise<RowDataPacket[]> {
  const [rows] = await pipeline.root.query<RowDataPacket[]>(
    sql.replaceAll('{db}', `\`${pipeline.stateDatabase}\``),
    values,
  );
  return rows;
}
