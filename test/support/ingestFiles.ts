/** Files that a test makes up: plans, chunks and content of rows that lie in memory. Needs no runner. */
import { createHash } from 'node:crypto';
import type { Definition } from '../../core/definition.js';
import {
  defaultReading,
  type ContentCheck,
  type FileChunk,
  type IngestPlan,
  type InputValue,
  type Reject,
  type ResumePoint,
} from '../../core/ingest.js';

/** The content of a file: columns, and rows or the reason why a record is none. */
export interface Given {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly InputValue[] | Reject['reason'])[];
  readonly chunkRows?: number;
}

export function planOf(definition: Definition, autoIncrement: string | null, given: Given): IngestPlan {
  const content = JSON.stringify([given.columns, given.rows], (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}n` : value,
  );
  const contentHash = createHash('sha256').update(content).digest('hex');
  const reading = { ...defaultReading, chunkRows: given.chunkRows ?? 100 };
  const chunks = Math.ceil(given.rows.length / reading.chunkRows);
  const file = {
    path: '/nowhere/made-up.csv',
    entry: null,
    compression: 'none' as const,
    size: content.length,
    mtimeNs: '0',
    contentBytes: content.length,
    sha256: contentHash,
    records: given.rows.length,
    chunks,
  };
  return {
    definition,
    files: [file],
    reading,
    columns: given.columns.map((column) => ({ name: column, field: column })),
    autoIncrement,
    required: [],
    contentHash,
    records: given.rows.length,
    chunks,
  };
}

export async function* chunksOf(plan: IngestPlan, given: Given, from: ResumePoint): AsyncIterable<FileChunk> {
  const { chunkRows } = plan.reading;
  for (let number = from.chunk; number * chunkRows < given.rows.length; number++) {
    const [first, end] = [number * chunkRows, Math.min(given.rows.length, (number + 1) * chunkRows)];
    const records = given.rows.slice(first, end).map((values, i) => ({ line: first + i + 2, values }));
    const point = (chunk: number, row: number): ResumePoint => ({ file: 0, chunk, offset: row, line: row + 2 });
    yield await Promise.resolve({
      from: point(number, first),
      next: end < given.rows.length ? point(number + 1, end) : null,
      records: records.length,
      bytes: records.length * 10,
      rows: records.flatMap(({ line, values }) => (typeof values === 'string' ? [] : [{ line, values }])),
      rejects: records.flatMap(({ line, values }) =>
        typeof values === 'string' ? [{ line, reason: values, column: null, detail: null, raw: `bad ${line}` }] : [],
      ),
      raw: (line: number) => `raw ${line}`,
    });
  }
}

/** Values are compared as text: enough for what these tests give. */
export function contentOf({ columns }: Given): (plan: IngestPlan) => ContentCheck {
  return ({ autoIncrement }) => {
    const open = (values: readonly InputValue[], i: number): boolean =>
      values[i] === undefined || (values[i] === null && columns[i] === autoIncrement);
    return {
      expected: ({ values }) => values.map((value, i) => (open(values, i) ? '*' : plain(value))),
      difference: (expected, row) => {
        const held = JSON.parse(row.toString()) as Record<string, unknown>;
        return columns.find((name, i) => expected[i] !== '*' && expected[i] !== plain(held[name])) ?? null;
      },
    };
  };
}

function plain(value: unknown): string {
  if (value === null) return 'null';
  return typeof value === 'object' ? JSON.stringify(value) : String(value as string | number);
}
