/**
 * One chunk as one transaction: its rows, read back as MySQL holds them, and the chunk's entry, which alone decides
 * whether they are in. It is conditional on the ingest's epoch, so a process that was taken over writes nothing; and it
 * commits only behind the chunk before it.
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Definition } from '../core/definition.js';
import { LockstepError } from '../core/errors.js';
import type { ContentCheck, FileChunk, InputRow, Reject, ResumePoint } from '../core/ingest.js';
import { keyToken } from '../core/ingestKey.js';
import { keyParts } from '../core/keyText.js';
import type { SourceRow } from '../core/store.js';
import type { Queries, Session } from '../stores/mysql/connection.js';
import { addChunk, type ChunkEntry, type RowKeys } from '../stores/mysql/ingestChunks.js';
import { readImages, tuplesCondition, type Images } from '../stores/mysql/ingestImages.js';
import { ownsIngest, type Ingest } from '../stores/mysql/ingests.js';
import { quoteName } from '../stores/mysql/quote.js';
import { isPassing } from './copyState.js';
import { SentBack, TurnOver, type Fate, type Turn } from './ingestTurn.js';
import { keyTuples, writeRows, type Accepted, type RowsContext, type RowsIn } from './ingestRows.js';

export interface ChunkContext {
  readonly stateDatabase: string;
  readonly ingest: Pick<Ingest, 'id' | 'epoch'>;
  readonly rows: RowsContext;
  readonly content: ContentCheck;
  readonly signal: AbortSignal;
  beat(): void;
  /** What else belongs into the chunk's transaction: the log road's marker, which is returned. */
  beforeCommit(queries: Queries): Promise<string | null>;
}

export interface Brought {
  readonly number: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly altered: number;
  readonly bytes: number;
  readonly keys: RowKeys;
  /** The rows as MySQL holds them. */
  readonly images: readonly SourceRow[];
  readonly next: ResumePoint | null;
  /** What the log passes once it holds them; null on the direct road. */
  readonly marker: string | null;
}

/** A chunk's place: its own turn, and that of the one before it, unless that is done. */
export interface Place {
  readonly session: Session;
  readonly turn: Turn;
  readonly before: Turn | null;
}

/** Another process has taken the ingest over. */
export class IngestTaken extends Error {
  override readonly name = 'IngestTaken';
}

/** Rows that are in, and of which MySQL makes no text: nobody could compare them. */
class TooLongToRead extends Error {
  override readonly name = 'TooLongToRead';
  readonly rows: readonly InputRow[];

  constructor(rows: readonly InputRow[]) {
    super(`${rows.length} rows are longer than max_allowed_packet`);
    this.rows = rows;
  }
}

/** Tries again while somebody holds a lock, and without rows that cannot be read back; a lost connection is for the caller, who looks whether the chunk is in. */
export async function bringIn(context: ChunkContext, chunk: FileChunk, place: Place): Promise<Brought> {
  const { session, turn, before } = place;
  await before?.rowsWritten;
  const tooLong = new Set<InputRow>();
  for (let attempt = 0; ; attempt++) {
    context.beat();
    try {
      return await session.transaction((queries) =>
        bring(queries, context, chunk, tooLong, turn, attempt === 0 ? before : null),
      );
    } catch (error) {
      const atOnce = error instanceof SentBack || error instanceof TooLongToRead;
      if (!atOnce && (!isPassing(error) || context.signal.aborted)) throw error;
      if (error instanceof TooLongToRead) for (const row of error.rows) tooLong.add(row);
      turn.triesAgain();
      if (before !== null && !(await before.decided)) throw new TurnOver();
      if (!atOnce) await sleep(Math.min(500, 20 * 2 ** attempt));
    }
  }
}

/** tooLong: rows that are known to be. before: a chunk that is not in yet. */
async function bring(
  queries: Queries,
  context: ChunkContext,
  chunk: FileChunk,
  tooLong: ReadonlySet<InputRow>,
  turn: Turn,
  before: Turn | null,
): Promise<Brought> {
  const { stateDatabase, ingest } = context;
  if (!(await ownsIngest(queries, stateDatabase, ingest))) throw new IngestTaken();
  const rowsIn = await writeRows(queries, context.rows, chunk.rows, tooLong);
  turn.rowsAreWritten();
  context.beat();
  const { images, unreadable } =
    rowsIn.accepted.length === 0 ? nothing : await readBack(queries, context.rows, rowsIn.accepted);
  if (unreadable.length > 0) throw new TooLongToRead(rowsUnder(unreadable, context.rows, rowsIn.accepted));
  const { altered, digest } = await check(queries, context, rowsIn, images);
  const entry: ChunkEntry = {
    number: chunk.from.chunk,
    accepted: rowsIn.accepted.length,
    altered,
    bytes: chunk.bytes,
    digest,
    keys: keysOf(context.rows, images),
    next: chunk.next,
    rejects: rejectsOf(chunk, rowsIn),
  };
  await behind(before, queries);
  await addChunk(queries, stateDatabase, ingest.id, entry, context.rows.traits.packetBytes);
  const marker = images.length > 0 ? await context.beforeCommit(queries) : null;
  return { ...entry, rejected: entry.rejects.length, images, marker };
}

/** What holds the transaction open is asked to go on doing so: it ends one that seems to be forgotten. */
const stillHereMs = 1_500;

async function behind(before: Turn | null, queries: Queries): Promise<void> {
  if (before === null) return;
  const timeout = (): Promise<null> => sleep(stillHereMs, null, { ref: false });
  let fate: Fate | null = null;
  while ((fate = await Promise.race([before.fate, timeout()])) === null) await queries.run('DO 0');
  if (fate === 'again') throw new SentBack();
  if (fate === 'stop') throw new TurnOver();
}

async function readBack(queries: Queries, rows: RowsContext, accepted: readonly Accepted[]): Promise<Images> {
  const span = numberSpan(rows, accepted);
  const condition =
    span === null
      ? tuplesCondition(rows.definition, keyTuples(rows, accepted))
      : `t.${quoteName(rows.definition.key[0] ?? '')} BETWEEN ${span.from} AND ${span.to}`;
  return await readImages(queries, rows.definition, condition);
}

const nothing: Images = { images: [], unreadable: [] };

/** Of rows that were merged under one key, the last made it what it is. */
function rowsUnder(
  keys: readonly Buffer[],
  { definition, token }: RowsContext,
  accepted: readonly Accepted[],
): readonly InputRow[] {
  const last = new Map(accepted.map(({ row, generated }) => [token(row, generated), row]));
  const found = keys.flatMap((key) => last.get(keyToken(definition, key)) ?? []);
  if (found.length === keys.length) return found;
  throw keysMoved(definition);
}

const integers = /^(?:tinyint|smallint|mediumint|int|bigint)$/;

/** A single integer key whose values follow each other without a gap is read as one range of the index. */
function numberSpan(
  { definition, columns }: RowsContext,
  accepted: readonly Accepted[],
): { readonly from: string; readonly to: string } | null {
  const [name, second] = definition.key;
  const column = definition.columns.find((c) => c.name === name);
  if (name === undefined || second !== undefined || column === undefined || !integers.test(column.type)) return null;
  const place = columns.indexOf(name);
  let [from, to] = [Infinity, -Infinity];
  for (const { row, generated } of accepted) {
    const value = Number(row.values[place] ?? generated);
    if (!Number.isSafeInteger(value)) return null;
    if (value < from) from = value;
    if (value > to) to = value;
  }
  return to - from + 1 === accepted.length ? { from: String(from), to: String(to) } : null;
}

/** Every accepted row must lie under its key, and say what the file says. */
async function check(
  queries: Queries,
  context: ChunkContext,
  { accepted }: RowsIn,
  images: readonly SourceRow[],
): Promise<{ readonly altered: number; readonly digest: Buffer }> {
  const { rows, content } = context;
  const { definition } = rows;
  const byToken = new Map(images.map((image) => [keyToken(definition, image.key), image]));
  const last = new Map<SourceRow, readonly string[]>();
  const lost: Accepted[] = [];
  let texts = '';
  for (const one of accepted) {
    const expected = content.expected(one.row);
    texts += `${expected.join('\u001f')}\n`;
    const image = byToken.get(rows.token(one.row, one.generated) ?? '');
    if (image === undefined) lost.push(one);
    else last.set(image, expected);
  }
  if (lost.length > 0) await refuseMovedKeys(queries, rows, lost);
  let altered = 0;
  for (const [image, expected] of last) if (content.difference(expected, image.row) !== null) altered++;
  return { altered, digest: createHash('sha256').update(texts).digest() };
}

/**
 * A row that is not there under its own spelling: where rows are merged, a later one of the chunk with an equal key may have
 * taken its place. Else a trigger gave it another key, under which it could not be found again after a crash.
 */
async function refuseMovedKeys(queries: Queries, rows: RowsContext, lost: readonly Accepted[]): Promise<void> {
  const found =
    rows.mode === 'insert'
      ? []
      : await Promise.all(
          lost.map(async (one) =>
            readImages(queries, rows.definition, tuplesCondition(rows.definition, keyTuples(rows, [one]))),
          ),
        );
  if (found.length > 0 && found.every(({ images }) => images.length === 1)) return;
  throw keysMoved(rows.definition);
}

function keysMoved({ table }: Definition): LockstepError {
  const message = `rows of ${table} do not lie under the keys that the file gives them`;
  return new LockstepError('LS-INGEST-KEYS', message, { details: { table } });
}

function keysOf({ definition }: RowsContext, images: readonly SourceRow[]): RowKeys {
  const [name, second] = definition.key;
  const column = definition.columns.find((c) => c.name === name);
  if (name !== undefined && second === undefined && column !== undefined && integers.test(column.type)) {
    const numbers = images.map(({ key }) => Number(keyParts(definition, key)[0]));
    const [from, to] = [Math.min(...numbers), Math.max(...numbers)];
    if (to - from + 1 === numbers.length && numbers.every(Number.isSafeInteger)) {
      return { kind: 'numbers', column: name, from: String(from), to: String(to) };
    }
  }
  return { kind: 'texts', texts: images.map(({ key }) => key.toString('utf8')) };
}

/** In the order of the file. */
function rejectsOf(chunk: FileChunk, { refused }: RowsIn): (Reject & { readonly file: number })[] {
  const { file } = chunk.from;
  const byMysql = refused.map(({ row, fault }) => ({ ...fault, file, line: row.line, raw: chunk.raw(row.line) }));
  return [...chunk.rejects.map((reject) => ({ ...reject, file })), ...byMysql].toSorted((a, b) => a.line - b.line);
}
