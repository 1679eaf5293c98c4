/**
 * The pipeline's lifecycle: install, let the streams run, copy what is due, look every few seconds at what is really
 * there, and set right what is not. It holds no position; whatever happens to it, the next run finds everything in
 * MySQL and the stores.
 */
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { ControlActivities } from '../activities/contract.js';
import { drainAll, drainCopy, startCopy, startStream, steerStreams } from './children.js';
import { renderDetails } from './details.js';
import { problemFrom } from './failure.js';
import * as messages from './messages.js';
import { controlOptions, lookOptions } from './options.js';
import * as machine from './pipelineState.js';
import { stageAttribute } from './searchAttributes.js';

const lookEveryMs = 10_000;
/** Progress of a copy is worth a closer look. */
const lookEveryWhileCopyingMs = 3_000;
const drainPatienceMs = 30_000;
const nothingLeft: messages.PipelineResult = { kind: 'stopped', stillDraining: [] };

export async function pipeline(input: messages.PipelineInput): Promise<messages.PipelineResult> {
  const scope = messages.scopeOf(input);
  const { install, requestCopies, releaseTables, running } = proxyActivities<ControlActivities>(
    controlOptions(input.pipeline),
  );
  const { look } = proxyActivities<ControlActivities>(lookOptions(input.pipeline));

  let state = input.carried ?? machine.firstState;
  const inbox: machine.PipelineEvent[] = [];
  let looking = false;
  /** Tables are being released: a look from before would hold them again. */
  let releasing = 0;
  let lookDue = true;
  /**
   * For how long to wait, never whether to look: a query to a worker that has just begun runs what has happened since with
   * the time of the task before, and a later replay with its own. Only what stands in the history may decide.
   */
  let lookAt = 0;
  let installFailure: Error | undefined;
  let result: messages.PipelineResult | undefined;

  setHandler(messages.stateQuery, () => machine.viewOf(state), { description: 'What status shows' });
  setHandler(messages.pauseUpdate, (argument) => done({ kind: 'pause', ...argument }), {
    description: 'Leaves the stores, or one table of them, alone: {"table": …}',
  });
  setHandler(
    messages.resumeUpdate,
    async (argument) => {
      const held = machine.heldAmong(state, argument.table);
      if (held.length > 0) await release(held);
      await done({ kind: 'resume', ...argument });
    },
    { description: 'Ends a pause: {} or {"table": …}' },
  );
  setHandler(messages.resyncUpdate, async ({ table }) => {
    await requestCopies(scope, [table]);
    await done({ kind: 'copies-wanted' });
  });
  setHandler(messages.refreshUpdate, async () => {
    const { tables } = await install(scope);
    await done({ kind: 'copies-wanted' });
    return { tables };
  });
  setHandler(messages.stopUpdate, async () => {
    inbox.push({ kind: 'stop' });
    await condition(() => result !== undefined);
    return result ?? nothingLeft;
  });
  setHandler(messages.lookSignal, () => void inbox.push({ kind: 'copies-wanted' }));
  setHandler(messages.streamReportSignal, (report) => void inbox.push({ kind: 'stream-reported', report }));
  setHandler(messages.sweepReportSignal, (report) => void inbox.push({ kind: 'sweep-reported', report }));
  setHandler(messages.copyReportSignal, (report) => void inbox.push({ kind: 'copy-reported', report }));

  let cancelled: Error | undefined;
  try {
    const installing = new CancellationScope();
    if (state.phase === 'installing') void installing.run(installAll);
    while (state.phase !== 'draining') {
      show();
      await nextEvent();
      const event = inbox[0];
      if (event === undefined) continue;
      const { state: next, actions } = machine.step(state, event, input);
      state = next;
      for (const action of actions) await carryOut(action);
      inbox.shift();
    }
    installing.cancel();
  } catch (error) {
    if (!(error instanceof Error && isCancellation(error))) throw error;
    cancelled = error;
  }
  return CancellationScope.nonCancellable(async () => {
    state = { ...state, phase: 'draining' };
    show();
    result = await drainAll(scope, state, running, drainPatienceMs);
    await condition(allHandlersFinished);
    if (cancelled !== undefined) throw cancelled;
    return result;
  });

  /** Until something happened; meanwhile looks when it is time to, and continues as new when nothing is under way. */
  async function nextEvent(): Promise<void> {
    const happened = () => inbox.length > 0 || installFailure !== undefined || mayContinueAsNew() || isTimeToLook();
    if (isTimeToLook()) void lookAround();
    if (state.phase !== 'running' || looking) await condition(happened);
    else if (!(await condition(happened, Math.max(1, lookAt - Date.now())))) lookDue = true;
    if (installFailure !== undefined) throw installFailure;
    if (mayContinueAsNew()) await continueAsNew({ ...input, carried: state });
  }

  /** Durable first: a pipeline that dies here does not hold them again. */
  async function release(tables: readonly string[]): Promise<void> {
    releasing += 1;
    try {
      await condition(() => !looking);
      await releaseTables(scope, tables);
    } finally {
      releasing -= 1;
    }
  }

  function isTimeToLook(): boolean {
    return state.phase === 'running' && !looking && releasing === 0 && lookDue;
  }

  /** Nothing may be under way: what a handler or a look has begun would be lost with this run. */
  function mayContinueAsNew(): boolean {
    const atRest = state.phase === 'running' && !looking && inbox.length === 0;
    return atRest && historyIsLong(input) && allHandlersFinished();
  }

  /** Takes an event through the machine and returns when everything it asks for is done. */
  async function done(event: machine.PipelineEvent): Promise<void> {
    inbox.push(event);
    await condition(() => !inbox.includes(event));
  }

  async function installAll(): Promise<void> {
    try {
      const { held } = await install(scope);
      inbox.push({ kind: 'installed', ...(held === undefined ? {} : { held }) });
    } catch (error) {
      if (error instanceof Error && !isCancellation(error)) installFailure = error;
    }
  }

  async function lookAround(): Promise<void> {
    looking = true;
    lookDue = false;
    lookAt = Date.now() + (machine.stageOf(state) === 'copying' ? lookEveryWhileCopyingMs : lookEveryMs);
    try {
      const seen = await look({
        scope,
        since: state.samples[0] ?? null,
        copying: Object.keys(state.copying),
        paused: state.paused,
        pausedTables: state.pausedTables,
        limit: input.parallelCopies,
      });
      inbox.push({ kind: 'looked', look: seen });
    } catch (error) {
      if (!isCancellation(error)) inbox.push({ kind: 'look-failed', problem: problemFrom(error) });
    } finally {
      looking = false;
    }
  }

  async function carryOut(action: machine.Action): Promise<void> {
    switch (action.kind) {
      case 'start-stream':
        return startStream(scope, action.stream, steeringOf(state), input.maxHistoryEvents);
      case 'start-copy':
        return startCopy(scope, action.copy);
      case 'drain-copy':
        return drainCopy(scope, action.table);
      case 'steer-streams':
        return steerStreams(scope, steeringOf(state));
      case 'look-now':
        lookDue = true;
        return;
    }
  }

  function show(): void {
    setCurrentDetails(renderDetails(input.pipeline, state));
    const stage = machine.stageOf(state);
    const shown = workflowInfo().typedSearchAttributes.get(stageAttribute);
    if (stage !== shown) upsertSearchAttributes([{ key: stageAttribute, value: stage }]);
  }
}

function steeringOf({ paused, pausedTables }: machine.PipelineState): messages.Steering {
  return { paused, pausedTables };
}

/** The server suggests to continue as new long before a history becomes slow to replay. */
function historyIsLong({ maxHistoryEvents }: messages.PipelineInput): boolean {
  const { continueAsNewSuggested, historyLength } = workflowInfo();
  return continueAsNewSuggested || historyLength >= (maxHistoryEvents ?? Infinity);
}
