/** What verify found of one key, and why as far as the evidence goes. Names and places, never a value. */
import type { Drift, DriftKind } from '../core/drift.js';
import type { EventVerdict, Sight, Store, StoreName } from '../core/store.js';
import type { LoggedEvent, Past } from './verifyLog.js';

export interface Difference {
  readonly table: string;
  /** Key text. */
  readonly key: string;
  readonly kind: DriftKind;
  readonly fields: readonly string[];
  /** The store holds what the log says was there before the event: the event never got there. */
  readonly older: boolean;
  readonly event: Pick<NonNullable<Drift['evidence']['event']>, 'seq' | 'op' | 'at' | 'definition'>;
  readonly epoch: number;
}

export type Wrong = Extract<EventVerdict, { kind: DriftKind }>;

export function isWrong(verdict: EventVerdict): verdict is Wrong {
  return verdict.kind === 'missing' || verdict.kind === 'extra' || verdict.kind === 'different';
}

/** Pure, but for asking the store what it makes of older images. */
export function differenceOf(
  store: Pick<Store, 'judgeEvent'>,
  { event, older }: Past,
  verdict: Wrong,
  sight: Pick<Sight, 'at' | 'state'>,
  found: Sight['found'][number],
): Difference {
  return {
    table: event.target.table,
    key: event.key.toString('utf8'),
    kind: verdict.kind,
    fields: verdict.kind === 'different' ? verdict.fields : [],
    older: older.some((after) => isContentOf(store, event, after, found, sight.at)),
    event: { seq: event.seq, op: event.op, at: event.at, definition: event.definitionHash },
    epoch: sight.state?.epoch ?? 0,
  };
}

/** Whether the store holds exactly this older image; an expiry is not part of an image. */
function isContentOf(
  store: Pick<Store, 'judgeEvent'>,
  event: LoggedEvent,
  after: Buffer | null,
  found: Sight['found'][number],
  at: number,
): boolean {
  const verdict = store.judgeEvent({ ...event, after }, found, at);
  if (verdict.kind === 'equal') return true;
  return verdict.kind === 'different' && verdict.fields.every((field) => field === '(expiry)');
}

/** written: how often the key was logged again already because it was found wrong. */
export function driftOf(
  store: StoreName,
  difference: Difference,
  where: { readonly partition: string; readonly offset: number; readonly seenAt: number },
  written: number,
): Drift {
  const { table, key, kind, fields, older, event, epoch } = difference;
  return {
    table,
    store,
    key,
    kind,
    cause: older ? 'lost-apply' : 'out-of-band-edit',
    evidence: {
      ...(fields.length === 0 ? {} : { fields }),
      event: { partition: where.partition, offset: where.offset, ...event },
      position: where.seenAt,
      note: [
        older ? 'holds what was there before the event' : 'holds what no event of the log left there',
        `epoch ${epoch}`,
        ...(written === 0 ? [] : [`written again ${written} times and wrong again`]),
      ].join('; '),
    },
  };
}
