/** The work of `lockstep wait`: the marker first, then what the pipeline says of itself, then the stores' own positions. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../core/config.js';
import { codeOf, LockstepError } from '../core/errors.js';
import { tableTopic } from '../core/names.js';
import { awaitMarker, writeMarker, type Behind, type WaitDeps } from '../stages/wait.js';
import { isUnderWay, readCopies, type CopyReason } from '../stores/mysql/copies.js';
import { readParked } from '../stores/mysql/parked.js';
import { readCapturedTables } from '../stores/mysql/state.js';
import type { PipelineView } from '../workflows/messages.js';
import { withClients, type Clients } from './clients.js';
import { withPipeline } from './pipeline.js';

export interface WaitResult {
  readonly ms: number;
}

const lookEveryMs = 50;
/** Looked at for the tables that hold parked keys. */
const parkedKeysSeen = 1_000;

export async function waitForAll(config: Config, timeoutMs: number): Promise<WaitResult> {
  return withClients(config, async (clients) => {
    const { mysql, stores } = clients;
    const { stateDatabase } = config.mysql;
    if ((await readCapturedTables(mysql, stateDatabase)).length === 0) {
      throw new LockstepError('LS-NOT-INSTALLED', `database ${stateDatabase} holds no pipeline`);
    }
    const deps = { queries: mysql, stateDatabase, stores, shards: config.apply.shards };
    const began = performance.now();
    const marker = await writeMarker(deps);
    const paused = await reached(config, deps, marker, timeoutMs);
    await copiesToo(config, deps, paused, began + timeoutMs);
    const ms = Math.round(performance.now() - began);
    const parked = await tablesWithParkedKeys(clients);
    if (paused.length + parked.length === 0) return { ms };
    const parts = [
      ...(paused.length === 0 ? [] : [`paused: ${paused.join(', ')}`]),
      ...(parked.length === 0 ? [] : [`with parked keys: ${parked.join(', ')}`]),
    ];
    throw new LockstepError('LS-WAIT-INCOMPLETE', `after ${ms} ms, all but some tables; ${parts.join('; ')}`, {
      details: { paused, parked },
    });
  });
}

/**
 * Waits for everything while the pipeline is asked for what is paused, which costs more than most waits: whatever comes
 * first decides. Returns the paused tables that were left out.
 */
async function reached(config: Config, deps: WaitDeps, marker: string, timeoutMs: number): Promise<readonly string[]> {
  const stop = new AbortController();
  const everything = passed(deps, marker, timeoutMs, stop.signal);
  const asked = pausedTables(config);
  // Whichever is not waited for any more may fail unheard.
  everything.catch(() => undefined);
  asked.catch(() => undefined);
  try {
    const paused = await Promise.race([everything.then(() => null), asked]);
    if (paused === null) return [];
    if (paused.length === 0) {
      await everything;
      return paused;
    }
    await passed({ ...deps, leftOut: topicsOf(config, paused) }, marker, timeoutMs, stop.signal);
    return paused;
  } finally {
    stop.abort();
  }
}

/**
 * Rows of a table that is copied for the first time, or again because it lacks something, come into the log behind the
 * marker: they have passed when a marker behind the copy has.
 */
async function copiesToo(config: Config, deps: WaitDeps, paused: readonly string[], endsAt: number): Promise<void> {
  let copying = await tablesToCopy(config, deps, paused);
  if (copying.length === 0) return;
  for (; copying.length > 0; copying = await tablesToCopy(config, deps, paused)) {
    if (performance.now() >= endsAt) {
      throw new LockstepError('LS-WAIT-TIMEOUT', `still to be copied: ${copying.join(', ')}`);
    }
    await sleep(lookEveryMs);
  }
  const behind = { ...deps, leftOut: topicsOf(config, paused) };
  const leftMs = Math.max(1, endsAt - performance.now());
  await passed(behind, await writeMarker(deps), leftMs, new AbortController().signal);
}

/** Of a table that was asked for, or loaded directly, the stores hold the rows before its copy ends. */
const heldAnyway: readonly CopyReason[] = ['asked', 'loaded'];

async function tablesToCopy(
  config: Config,
  { queries, stateDatabase }: WaitDeps,
  paused: readonly string[],
): Promise<string[]> {
  const due = (await readCopies(queries, stateDatabase)).filter(
    (copy) => isUnderWay(copy, config) && !heldAnyway.includes(copy.reason),
  );
  if (due.length === 0) return [];
  const ids = new Set(due.map(({ tableId }) => tableId));
  const captured = await readCapturedTables(queries, stateDatabase);
  return captured.filter(({ id, name }) => ids.has(id) && !paused.includes(name)).map(({ name }) => name);
}

function topicsOf({ kafka, mysql }: Config, tables: readonly string[]): ReadonlySet<string> {
  return new Set(tables.map((table) => tableTopic(kafka.topicPrefix, mysql.database, table)));
}

/** Refuses where waiting is in vain. A worker or Temporal may be back in a moment: that is what a timeout is for. */
async function pausedTables(config: Config): Promise<readonly string[]> {
  let view: PipelineView | null;
  try {
    view = await withPipeline(config, (pipeline) => pipeline.view());
  } catch (error) {
    const code = codeOf(error);
    if (code === 'LS-PIPELINE-NO-WORKER' || code === 'LS-TEMPORAL-UNREACHABLE') return [];
    throw error;
  }
  if (view === null) throw new LockstepError('LS-PIPELINE-NOT-RUNNING', `pipeline ${config.pipeline} does not run`);
  if (view.paused) throw new LockstepError('LS-PIPELINE-PAUSED', `pipeline ${config.pipeline} is paused`);
  return view.pausedTables;
}

async function passed(deps: WaitDeps, marker: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const outcome = await awaitMarker(deps, marker, timeoutMs, signal);
  if (outcome.kind !== 'timed-out') return;
  const behind = outcome.behind.map(behindText).join('; ');
  throw new LockstepError('LS-WAIT-TIMEOUT', `after ${(outcome.ms / 1000).toFixed(1)} s ${behind}`);
}

function behindText(behind: Behind): string {
  if (behind.who === 'capture') return 'capture has not published what was committed before';
  return `${behind.who} is ${behind.events} events behind in ${behind.topics.join(', ')}`;
}

async function tablesWithParkedKeys({ config, mysql, stores }: Clients): Promise<readonly string[]> {
  const { stateDatabase } = config.mysql;
  const [captured, inCapture, ...inStores] = await Promise.all([
    readCapturedTables(mysql, stateDatabase),
    readParked(mysql, stateDatabase, parkedKeysSeen),
    ...stores.map((store) => store.parkedKeys(parkedKeysSeen)),
  ]);
  const names = new Map(captured.map(({ id, name }) => [id, name]));
  const fromCapture = inCapture.map(({ tableId }) => names.get(tableId) ?? `table ${tableId}`);
  return [...new Set([...fromCapture, ...inStores.flat().map(({ table }) => table)])].toSorted();
}
