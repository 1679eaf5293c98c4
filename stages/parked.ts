/**
 * Keys that stand parked, with their reasons, wherever they were parked: by capture in MySQL, by a store in itself. For
 * people at a terminal alone: key values enter no Temporal history.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ParkedKey, Store, StoreName } from '../core/store.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { readParked } from '../stores/mysql/parked.js';
import { readCapturedTables } from '../stores/mysql/state.js';

export interface ParkedSomewhere extends ParkedKey {
  /** Who set it aside: then the value went no further than there. */
  readonly by: 'capture' | StoreName;
}

/** A server that does not answer in time is named as a problem elsewhere; its keys are left out here. */
const patienceMs = 4_000;

export async function readParkedEverywhere(
  deps: { readonly mysql: Mysql; readonly stores: readonly Pick<Store, 'name' | 'parkedKeys'>[] },
  limit: number,
): Promise<readonly ParkedSomewhere[]> {
  const lists = await Promise.all([
    ifItAnswers(parkedByCapture(deps.mysql, limit)),
    ...deps.stores.map((store) =>
      ifItAnswers(store.parkedKeys(limit).then((keys) => keys.map((key) => ({ ...key, by: store.name })))),
    ),
  ]);
  return lists.flat().slice(0, limit);
}

async function parkedByCapture(mysql: Mysql, limit: number): Promise<readonly ParkedSomewhere[]> {
  const { stateDatabase } = mysql.config;
  const names = new Map((await readCapturedTables(mysql, stateDatabase)).map(({ id, name }) => [id, name]));
  if (names.size === 0) return [];
  const parked = await readParked(mysql, stateDatabase, limit);
  return parked.flatMap(({ tableId, key, reason, seq }) => {
    const table = names.get(tableId);
    return table === undefined ? [] : [{ table, key, reason, seq, by: 'capture' as const }];
  });
}

async function ifItAnswers<T>(reading: Promise<readonly T[]>): Promise<readonly T[]> {
  const answered = reading.catch((): readonly T[] => []);
  return Promise.race([answered, sleep(patienceMs, [], { ref: false })]);
}
