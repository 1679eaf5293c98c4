/**
 * Look: what is really there. Triggers are compared and set right, data are read, workflows are asked whether they run.
 * The pipeline acts on this alone, so whatever was lost, killed or changed behind its back is set right a look later.
 */
import { Context } from '@temporalio/activity';
import { isCopied } from '../core/statusReading.js';
import type { PipelineIdentity } from '../core/pipelineIdentity.js';
import type { OpenProblem, PipelineStatus } from '../core/status.js';
import { ingestId, snapshotId, streamId, streamsOf } from '../core/workflowNames.js';
import { problemOf, warning } from '../core/problem.js';
import { Forgetting } from '../stages/forgetting.js';
import { observe, type ObserveDeps } from '../stages/observe.js';
import type { HeldTable } from '../stages/heldTables.js';
import { endUncarried } from '../stages/sweep.js';
import { prepareStores } from '../stages/tableForms.js';
import { watchTriggers } from '../stages/watch.js';
import { heldReasons } from '../stores/mysql/copies.js';
import { readDueCopies } from '../stores/mysql/dueCopies.js';
import { readIngests } from '../stores/mysql/ingests.js';
import type { Look } from '../workflows/pipelineState.js';
import type { ControlActivities, LookRequest } from './contract.js';
import { publishMetrics } from './metrics.js';
import { failingCleanly, refuseAnotherPipeline } from './run.js';
import { findRunning } from './workflowsRunning.js';

export interface LookDeps extends ObserveDeps {
  readonly identity: PipelineIdentity;
}

/** A status enters the history each time: what is long is cut, and the count tells. */
const shownTables = 50;
const shownProblems = 20;
const shownEscapes = 5;
const loadsLookedAt = 100;

export function lookActivities(deps: LookDeps): Pick<ControlActivities, 'look' | 'running'> {
  const forgetting = new Forgetting(deps.mysql);
  return {
    look: (request) =>
      failingCleanly(async () => {
        refuseAnotherPipeline(request.scope.identity, deps.identity);
        const context = Context.current();
        const beating = setInterval(() => context.heartbeat(), 1_000);
        try {
          return await look(deps, request, forgetting);
        } finally {
          clearInterval(beating);
        }
      }),
    running: (ids) => failingCleanly(async () => (await findRunning(ids)).map(({ id }) => id)),
  };
}

async function look(deps: LookDeps, request: LookRequest, forgetting: Forgetting): Promise<Look> {
  const { scope, copying, paused, pausedTables } = request;
  const isPaused = (table: string): boolean => paused || pausedTables.includes(table);
  const { open, leftOut, held } = await settleTriggers(deps, isPaused);
  const streams = streamsOf(scope).map((stream) => ({
    stream,
    id: streamId(scope.pipeline, stream, scope.shards),
  }));
  const copies = copying.map((table) => ({ table, id: snapshotId(scope.pipeline, table) }));
  const loads = await loadsThatHold(deps);
  await endUncarried(deps, async (ids) => new Set((await findRunning(ids)).map(({ id }) => id)));
  const unforgotten = await forgetting.turn(Date.now()).then(
    () => [],
    (error: unknown) => [problemOf(error)],
  );
  const [{ status, sample }, due, workflows] = await Promise.all([
    observe(deps, { since: request.since, paused, pausedTables, problems: leftOut }),
    readDueCopies(deps.mysql, request.limit + copying.length + pausedTables.length, heldReasons(deps.config)),
    findRunning([...streams, ...copies, ...loads].map(({ id }) => id)),
  ]);
  publishMetrics(Context.current().metricMeter, status, sample);
  const running = new Set(workflows.map(({ id }) => id));
  return {
    status: shortened(status),
    problems: [
      ...open,
      ...unforgotten,
      ...workflows.flatMap(({ problem }) => problem ?? []),
      ...loads.filter(({ id }) => !running.has(id)).map(unfinished),
    ].slice(0, shownProblems),
    sample,
    tableCount: status.tables.length,
    due,
    uncopied: status.tables.filter((table) => !isCopied(table)).length,
    missingStreams: streams.filter(({ id }) => !running.has(id)).map(({ stream }) => stream),
    missingCopies: copies.filter(({ id }) => !running.has(id)).map(({ table }) => table),
    ...(held === null ? {} : { held }),
  };
}

/** A table that is loaded directly gets its triggers at the end of the load: one that nobody carries on holds it up. */
async function loadsThatHold({
  mysql,
  config,
}: LookDeps): Promise<readonly { id: string; table: string; name: string }[]> {
  const found = await readIngests(mysql, mysql.config.stateDatabase, loadsLookedAt);
  return found
    .filter(({ held }) => held)
    .map(({ table, name }) => ({ table, name, id: ingestId(config.pipeline, table, name) }));
}

function unfinished({ table, name }: { readonly table: string; readonly name: string }): OpenProblem {
  const what = `ingest ${name} into ${table} has begun and nothing carries it on, so ${table} is not captured`;
  return { ...warning('LS-INGEST-UNFINISHED', what), table };
}

interface SettledTriggers {
  readonly open: readonly OpenProblem[];
  readonly leftOut: readonly OpenProblem[];
  /** Null: not known. */
  readonly held: readonly string[] | null;
}

/** Triggers are put right; what stays open is told. What stops the check must not hide everything else. */
async function settleTriggers(deps: LookDeps, isPaused: (table: string) => boolean): Promise<SettledTriggers> {
  try {
    const { problems, suspended, leftOut, held } = await watchTriggers({ ...deps, isPaused });
    const unprepared = await prepareStores(deps, isPaused);
    // What the configuration itself leaves out is no news.
    const named = leftOut.filter(({ reason }) => reason !== 'excluded' && reason !== 'ghost-table');
    return {
      open: [...(suspended === null ? [] : [suspended]), ...problems, ...held.map(openProblem), ...unprepared],
      leftOut: named.map(({ table, explanation }) => ({
        ...warning('LS-TABLE-LEFT-OUT', `table ${table} is left out: ${explanation}`),
        table,
      })),
      held: held.map(({ table }) => table),
    };
  } catch (error) {
    return { open: [problemOf(error)], leftOut: [], held: null };
  }
}

function openProblem({ table, problem }: HeldTable): OpenProblem {
  return { ...problem, table };
}

function shortened(status: PipelineStatus): PipelineStatus {
  const eventful = status.tables.filter((table) => table.stage !== 'streaming' || table.parkedKeys > 0);
  const { witness } = status;
  return {
    ...status,
    tables: eventful.slice(0, shownTables),
    ...(witness === undefined ? {} : { witness: { ...witness, escapes: witness.escapes.slice(0, shownEscapes) } }),
    problems: status.problems.slice(0, shownProblems),
  };
}
