/** Statements on `swept`: the last complete sweep of each table and store. */
import type { OffsetVector } from '../../core/position.js';
import type { StoreName } from '../../core/store.js';
import { asCount, asCountOrNull, asText } from './cell.js';
import type { Queries } from './connection.js';
import { quoteTable } from './quote.js';
import { decodeVector, encodeVector } from './vector.js';

export interface Swept {
  readonly name: string;
  readonly store: StoreName;
  readonly sweep: string;
  /** Milliseconds since 1970; null: never right as a whole. */
  readonly through: number | null;
  readonly marker: OffsetVector;
  readonly drift: number;
}

/** A table and store were swept as a whole. With drift, what it was right through before stands. */
export async function recordSwept(
  queries: Queries,
  stateDatabase: string,
  swept: Omit<Swept, 'through'> & { readonly beganAt: number },
): Promise<void> {
  const { name, store, sweep, marker, drift, beganAt } = swept;
  await queries.run(
    `INSERT INTO ${quoteTable(stateDatabase, 'swept')} (name, store, sweep, through, marker, drift)
     VALUES (?, ?, ?, IF(? = 0, FROM_UNIXTIME(? / 1000), NULL), ?, ?) AS newer
     ON DUPLICATE KEY UPDATE sweep = newer.sweep, through = IFNULL(newer.through, swept.through), marker = newer.marker,
       drift = newer.drift`,
    [name, store, sweep, drift, beganAt, encodeVector(marker), drift],
  );
}

export async function readSwept(queries: Queries, stateDatabase: string): Promise<readonly Swept[]> {
  const rows = await queries.rows(
    `SELECT name, store, sweep, CAST(UNIX_TIMESTAMP(through) * 1000 AS UNSIGNED), marker, drift
       FROM ${quoteTable(stateDatabase, 'swept')} ORDER BY name, store`,
  );
  return rows.map((row) => ({
    name: asText(row[0]),
    store: asText(row[1]) as StoreName,
    sweep: asText(row[2]),
    through: asCountOrNull(row[3] ?? null),
    marker: decodeVector(asText(row[4])),
    drift: asCount(row[5]),
  }));
}
