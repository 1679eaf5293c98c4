/**
 * Lands a chunk that MySQL holds: in every store, and compared there byte for byte. Direct: written by us. Through the log:
 * brought by apply, and compared once each store has passed the marker that was committed with the chunk.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { targetOf } from '../core/target.js';
import type { Config } from '../core/config.js';
import type { Definition } from '../core/definition.js';
import { LockstepError } from '../core/errors.js';
import { undecodableInKey, undecodableInRow } from '../core/undecodable.js';
import type { SourceRow, Store, StoreEvent, Target } from '../core/store.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { logWhere, type CopyScope } from '../stores/mysql/copyRows.js';
import type { Landed } from '../stores/mysql/ingestChunks.js';
import { keysCondition, readImages } from '../stores/mysql/ingestImages.js';
import { isPassing } from './copyState.js';
import type { DirectWriter } from './ingestLane.js';
import type { MarkerWatch } from './ingestMarkers.js';
import { parkedAmong } from './parkedAmong.js';

export interface LandingContext {
  readonly config: Config;
  readonly mysql: Mysql;
  readonly definition: Definition;
  readonly stores: readonly Store[];
  readonly signal: AbortSignal;
}

export interface ToLand {
  readonly number: number;
  readonly accepted: number;
  readonly images: readonly SourceRow[];
}

/** Brings rows that are committed in MySQL into the stores; returns the keys that one of them cannot hold. */
export type Carry = (images: readonly SourceRow[], round: number) => Promise<ReadonlySet<string>>;

/** A row that an application changes all the time is told apart from one that does not arrive by what MySQL says of it. */
const mostRounds = 30;
const hotAfter = 5;

export async function land(context: LandingContext, chunk: ToLand, carry: Carry): Promise<Landed> {
  const target = targetOf(context.definition.table, context.config);
  const changed = new Set<string>();
  const parked = new Set<string>();
  let open = chunk.images;
  for (let round = 0; open.length > 0; round++) {
    if (context.signal.aborted) throw new Stopped();
    for (const key of await carry(open, round)) parked.add(key);
    const unequal = (await differing(context, target, open)).filter(({ key }) => !parked.has(key.toString('utf8')));
    if (unequal.length === 0) break;
    if (round === mostRounds) throw notArriving(context, unequal.length);
    if (round > 2) await sleep(20 * round);
    const again = await readAgain(context, unequal, changed);
    // What an application keeps changing is no row of the file's any more, and arrives like any other change.
    open = round < hotAfter ? again : again.filter(({ key }) => !changed.has(key.toString('utf8')));
  }
  const gone = chunk.accepted - chunk.images.length;
  return { number: chunk.number, changed: changed.size + Math.max(0, gone), parked: parked.size };
}

/** The worker drains, or the ingest is cancelled. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
}

/** Those that some store does not hold as they are. */
async function differing(
  { stores, definition }: LandingContext,
  target: Target,
  images: readonly SourceRow[],
): Promise<readonly SourceRow[]> {
  const verdicts = await Promise.all(stores.map((store) => store.compareRows(target, definition, images)));
  return images.filter((_, i) => verdicts.some((of) => of[i]?.kind !== 'equal' && of[i]?.kind !== 'expired'));
}

/** What MySQL holds of them now; those it holds otherwise, or not any more, an application has changed since. */
async function readAgain(
  { mysql, definition }: LandingContext,
  unequal: readonly SourceRow[],
  changed: Set<string>,
): Promise<readonly SourceRow[]> {
  const texts = unequal.map(({ key }) => key.toString('utf8'));
  const now = new Map<string, SourceRow>();
  const { images } = await readImages(mysql, definition, keysCondition(definition, { kind: 'texts', texts }));
  for (const image of images) {
    now.set(image.key.toString('utf8'), image);
  }
  return unequal.flatMap((before, i) => {
    const text = texts[i] ?? '';
    const image = now.get(text);
    if (image?.row.equals(before.row) !== true) changed.add(text);
    return image ?? [];
  });
}

function notArriving({ definition }: LandingContext, rows: number): LockstepError {
  return new LockstepError(
    'LS-INGEST-UNEQUAL',
    `${rows} rows of ${definition.table} do not become equal in every store`,
    {
      details: { table: definition.table, rows },
    },
  );
}

/** fresh: they were inserted a moment ago. */
export function carryDirectly(
  { config, definition }: LandingContext,
  writers: readonly DirectWriter[],
  fresh: boolean,
): Carry {
  const target = targetOf(definition.table, config);
  return async (images, round) => {
    const at = Date.now();
    // Capture parks them, with the reason, in the copy that ends the load.
    const untold = images.filter(
      ({ key, row }) => (undecodableInKey(definition, key) ?? undecodableInRow(definition, row)) !== null,
    );
    const told = untold.length === 0 ? images : images.filter((image) => !untold.includes(image));
    const events = told.map(({ key, row }): StoreEvent => ({
      target,
      definition,
      op: 'r',
      key,
      after: row,
      seq: 0,
      at,
    }));
    const parked = await Promise.all(writers.map((writer) => writer.write(events, fresh && round === 0)));
    return new Set([...parked.flatMap((keys) => [...keys]), ...untold.map(({ key }) => key.toString('utf8'))]);
  };
}

/** A row that has not arrived although everything logged before is applied is logged again after a few rounds. */
const relogFrom = 3;

export function carryThroughLog(
  context: LandingContext & Pick<CopyScope, 'stateDatabase' | 'tableId'>,
  markers: MarkerWatch,
  marker: string | null,
): Carry {
  const { mysql, definition, stores, stateDatabase, tableId } = context;
  return async (images, round) => {
    if (round >= relogFrom) await logAgain(context, images);
    await markers.passed(round === 0 && marker !== null ? marker : await markers.write());
    if (round === 0) return new Set();
    const keys = images.map(({ key }) => ({ key: key.toString('utf8') }));
    return parkedAmong({ mysql, stateDatabase, stores }, { name: definition.table, tableId }, keys);
  };

  async function logAgain(scope: CopyScope, images: readonly SourceRow[]): Promise<void> {
    const texts = images.map(({ key }) => key.toString('utf8'));
    try {
      await mysql.transaction((queries) =>
        logWhere(queries, scope, keysCondition(definition, { kind: 'texts', texts })),
      );
    } catch (error) {
      if (!isPassing(error)) throw error;
    }
  }
}
