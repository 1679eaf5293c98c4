/** Statements on `witness`: how far the binary log was held against the change log. Effect first, then this position. */
import type { WitnessState, WitnessStatus } from '../../core/witness.js';
import { asCount, asCountOrNull, asText, asTextOrNull } from './cell.js';
import type { BinlogPlace } from './binlogStream.js';
import type { Queries } from './connection.js';
import { readEscapes } from './escapes.js';
import { errorNumber } from './failure.js';
import { quoteTable } from './quote.js';

/** Table id → which of its triggers (`i`, `u`, `d`) were made before the position. */
export type Expected = ReadonlyMap<number, string>;

export interface WitnessPosition extends BinlogPlace {
  readonly serverUuid: string;
  /** When the file was begun, in seconds since 1970: after a reset another file may have its name. Null: not known yet. */
  readonly fileMadeAt: number | null;
  readonly expected: Expected;
  /** Of the newest event before it, in seconds since 1970; null before the first. */
  readonly seenAt: number | null;
}

export interface WitnessRow {
  readonly state: WitnessState;
  readonly reason: string | null;
  readonly position: WitnessPosition | null;
}

const noSuchTable = 1146;
const noSuchDatabase = 1049;

/** Null before the first word of it, or where nothing is installed. */
export async function readWitness(queries: Queries, stateDatabase: string): Promise<WitnessRow | null> {
  try {
    const [row] = await queries.rows(
      `SELECT state, reason, server_uuid, file, at_offset, made_at, expected, UNIX_TIMESTAMP(seen_at)
         FROM ${quoteTable(stateDatabase, 'witness')}`,
    );
    if (row === undefined) return null;
    const [state, reason, serverUuid, file, offset, madeAt, expected, seenAt] = row;
    return {
      state: asText(state) as WitnessState,
      reason: asTextOrNull(reason),
      position:
        file === null
          ? null
          : {
              serverUuid: asText(serverUuid),
              file: asText(file),
              offset: asCount(offset),
              fileMadeAt: asCountOrNull(madeAt),
              expected: parseExpected(asTextOrNull(expected) ?? '{}'),
              seenAt: seenAt === null ? null : Number(asText(seenAt)),
            },
    };
  } catch (error) {
    if (errorNumber(error) === noSuchTable || errorNumber(error) === noSuchDatabase) return null;
    throw error;
  }
}

function parseExpected(text: string): Expected {
  return new Map(
    Object.entries(JSON.parse(text) as Record<string, string>).map(([id, events]) => [Number(id), events]),
  );
}

/** How many escapes `status` names. */
const shownEscapes = 20;

/** Null where nothing is installed, or it has never been asked to watch. */
export async function readWitnessStatus(queries: Queries, stateDatabase: string): Promise<WitnessStatus | null> {
  const row = await readWitness(queries, stateDatabase);
  if (row === null) return null;
  const { state, reason, position } = row;
  const seenAt = position?.seenAt ?? null;
  return {
    state,
    reason,
    position: position === null ? null : `${position.file}:${position.offset}`,
    seenAt: seenAt === null ? null : new Date(seenAt * 1000).toISOString(),
    escapes: await readEscapes(queries, stateDatabase, shownEscapes),
  };
}

/** What it does now, beside a position that stays. */
export async function tellWitnessState(
  queries: Queries,
  stateDatabase: string,
  state: WitnessState,
  reason: string | null,
): Promise<void> {
  await queries.run(
    `INSERT INTO ${quoteTable(stateDatabase, 'witness')} (id, state, reason) VALUES (1, ?, ?) AS now
     ON DUPLICATE KEY UPDATE state = now.state, reason = now.reason`,
    [state, reason === null ? null : reason.slice(0, 1000)],
  );
}

export async function moveWitness(
  queries: Queries,
  stateDatabase: string,
  position: WitnessPosition,
  state: WitnessState = 'watching',
): Promise<void> {
  const { serverUuid, file, offset, fileMadeAt, expected, seenAt } = position;
  await queries.run(
    `INSERT INTO ${quoteTable(stateDatabase, 'witness')} (id, server_uuid, file, at_offset, made_at, expected, seen_at, state)
     VALUES (1, ?, ?, ?, ?, ?, FROM_UNIXTIME(?), ?) AS now
     ON DUPLICATE KEY UPDATE server_uuid = now.server_uuid, file = now.file, at_offset = now.at_offset, made_at = now.made_at,
       expected = now.expected, seen_at = now.seen_at, state = now.state, reason = NULL`,
    [serverUuid, file, offset, fileMadeAt, JSON.stringify(Object.fromEntries(expected)), seenAt, state],
  );
}
