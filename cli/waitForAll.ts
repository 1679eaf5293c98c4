/** The work of `lockstep wait`: the marker first, then what the pipeline says of itself, then the stores' own positions. */
import type { Config } from '../core/config.js';
import { codeOf, LockstepError } from '../core/errors.js';
import { tableTopic } from '../core/names.js';
import { awaitMarker, writeMarker, type Behind, type WaitDeps } from '../stages/wait.js';
import { readParked } from '../stores/mysql/parked.js';
import { readCapturedTables } from '../stores/mysql/state.js';
import type { PipelineView } from '../workflows/messages.js';
import { withClients, type Clients } from './clients.js';
import { withPipeline } from './pipeline.js';

export interface WaitResult {
  readonly ms: number;
}

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
    const { topicPrefix } = config.kafka;
    const leftOut = new Set(paused.map((table) => tableTopic(topicPrefix, config.mysql.database, table)));
    await passed({ ...deps, leftOut }, marker, timeoutMs, stop.signal);
    return paused;
  } finally {
    stop.abort();
  }
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
