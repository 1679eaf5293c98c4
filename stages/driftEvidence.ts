/** From suspicion to drift: the key's last event in the log tells the cause, and stands in the evidence. */
import type { Definition, DefinitionHash } from '../core/definition.js';
import type { Drift, DriftEvidence, KeyText } from '../core/drift.js';
import { causeOf } from '../core/driftCause.js';
import type { PartitionName } from '../core/position.js';
import type { Store, StoreName } from '../core/store.js';
import { readCopy } from '../stores/mysql/copies.js';
import { readSwept } from '../stores/mysql/swept.js';
import { scanLog, wantedAt, type LogEvent, type Scan, type Span } from './logScan.js';
import { isWhatItLeft, type Suspicion } from './settle.js';
import type { SweepContext, SweptTable } from './sweepContext.js';

/** Records of a partition that are looked through for a cause: about a minute's reading. */
const mostRecords = 3_000_000;
/** Keys of one look into the log: their contents are held meanwhile. */
const keysAtOnce = 5_000;

export async function withCauses(
  context: SweepContext,
  table: SweptTable,
  suspicions: readonly Suspicion[],
): Promise<readonly Drift[]> {
  if (suspicions.length === 0) return [];
  const swept = (await readSwept(context.mysql, context.stateDatabase)).filter(({ name }) => name === table.name);
  const drifting = new Map<KeyText, Set<StoreName>>();
  for (const { key, store } of suspicions) drifting.set(key, (drifting.get(key) ?? new Set()).add(store));
  // What was loaded directly stands in the log only as far as it differed at the end of the load.
  const copy = await readCopy(context.mysql, context.stateDatabase, table.tableId);
  const logged = copy?.reason !== 'loaded';
  const drift: Drift[] = [];
  for (let from = 0; from < suspicions.length; from += keysAtOnce) {
    const some = suspicions.slice(from, from + keysAtOnce);
    const scan = await scanUpTo(context, some);
    const definitions = await definitionsOf(context, table, scan);
    for (const suspicion of some) {
      const verifiedTo = swept.find(({ store }) => store === suspicion.store)?.marker.get(suspicion.partition) ?? 0;
      const alike = (drifting.get(suspicion.key)?.size ?? 0) > 1;
      drift.push(driftOf(context, table, suspicion, { scan, definitions, verifiedTo, alike, logged }));
    }
  }
  return drift;
}

async function scanUpTo({ reader, signal, beat }: SweepContext, suspicions: readonly Suspicion[]): Promise<Scan> {
  const spans = new Map<PartitionName, Span>();
  for (const { partition, position } of suspicions) {
    const to = Math.max(position, spans.get(partition)?.to ?? 0);
    spans.set(partition, { from: Math.max(0, to - mostRecords), to });
  }
  return scanLog(reader(), spans, wantedAt(suspicions), signal, beat);
}

async function definitionsOf(
  context: SweepContext,
  table: SweptTable,
  { events }: Scan,
): Promise<ReadonlyMap<DefinitionHash, Definition>> {
  const known = new Map([[table.hash, table.definition]]);
  for (const { definition } of [...events.values()].flat()) {
    if (known.has(definition)) continue;
    const found = await context.definitionOf(definition);
    if (found !== null) known.set(definition, found);
  }
  return known;
}

interface Known {
  readonly scan: Scan;
  readonly definitions: ReadonlyMap<DefinitionHash, Definition>;
  readonly verifiedTo: number;
  readonly alike: boolean;
  readonly logged: boolean;
}

function driftOf(context: SweepContext, table: SweptTable, suspicion: Suspicion, known: Known): Drift {
  const { key, row, verdict, partition, position } = suspicion;
  const { scan, definitions, verifiedTo, logged } = known;
  const store = context.stores.find(({ name }) => name === suspicion.store);
  const events = (scan.events.get(key) ?? []).filter(({ offset }) => offset < position);
  const last = events.at(-1);
  const left = (event: LogEvent): boolean =>
    store !== undefined && isWhatItLeft(store, table, suspicion, event, definitions);
  const storeAgrees = last !== undefined && left(last);
  const cause = causeOf({
    kind: verdict.kind,
    event:
      last === undefined
        ? null
        : {
            rowAgrees: row === null ? last.after === null : last.after?.equals(row) === true,
            storeAgrees,
            storeIsEarlier: events.slice(0, -1).some(left),
            verified: last.offset < verifiedTo,
          },
    logIsWhole: logged && !scan.cutOff.has(partition) && position <= mostRecords,
    otherStoreDrifts: context.stores.length > 1 ? known.alike : null,
    mappedOtherwise:
      (storeAgrees && last.definition !== table.hash) ||
      (store !== undefined && isOtherLayout(store, table, suspicion)),
  });
  const evidence: DriftEvidence = {
    ...(verdict.kind === 'different' ? { fields: verdict.fields } : {}),
    ...(last === undefined ? {} : { event: placeOf(last) }),
    position,
    ...(verifiedTo > 0 ? { verifiedTo } : {}),
  };
  return { table: table.name, store: suspicion.store, key, kind: verdict.kind, cause, evidence };
}

function placeOf({ partition, offset, seq, op, at, definition }: LogEvent): NonNullable<DriftEvidence['event']> {
  return { partition, offset, seq, op, at, definition };
}

/** The row as the other layout of the store would hold it: the setting was changed and the table not copied since. */
function isOtherLayout(store: Store, { target, definition }: SweptTable, suspicion: Suspicion): boolean {
  if (store.name !== 'redis' || suspicion.row === null) return false;
  const layout = target.redis.layout === 'json' ? 'hash' : 'json';
  const other = { ...target, redis: { ...target.redis, layout } } as const;
  const expected = { key: Buffer.from(suspicion.key), row: suspicion.row };
  return store.judge(other, definition, suspicion.content, expected).kind === 'equal';
}
