/**
 * Ingest: files into a table and from there into every store. Loads slice by slice until all is in, or until it is told to
 * end; then brings the table to where it streams and is proven. Where it stands is in MySQL, so it may be started again.
 */
import {
  ActivityFailure,
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { IngestActivities } from '../activities/contract.js';
import type { IngestEnd, IngestProgress } from '../core/ingestReport.js';
import { pauseBeforeAsking } from '../core/ingestUnseen.js';
import type { OpenProblem } from '../core/status.js';
import { startCopy } from './children.js';
import { problemFrom } from './failure.js';
import { ingestDetails } from './ingestDetails.js';
import * as messages from './messages.js';
import { ingestOptions, streamOptions } from './options.js';

interface Ended {
  readonly end: IngestEnd;
  readonly problem: OpenProblem | null;
}

export async function ingest(input: messages.IngestInput): Promise<messages.IngestResult> {
  const { loadIngest } = proxyActivities<IngestActivities>(
    streamOptions(input.pipeline, 'ingest', `load into ${input.table}`),
  );
  const ending = (what: string): IngestActivities =>
    proxyActivities<IngestActivities>(ingestOptions(input.pipeline, `${what} ${input.table}`));
  const request = { scope: messages.scopeOf(input), ingest: input.ingest };
  let paused = input.paused === true;
  let cancelled = false;
  let draining = false;
  let current: CancellationScope | undefined;
  let progress: IngestProgress | null = null;
  let problem: OpenProblem | null = null;
  let unseen = input.unseen ?? 0;
  let seen = input.seen === true;

  setHandler(messages.pauseIngestUpdate, () => {
    paused = true;
    interrupt();
  });
  setHandler(messages.resumeIngestUpdate, () => {
    paused = false;
  });
  setHandler(messages.cancelIngestUpdate, () => {
    cancelled = true;
    interrupt();
  });
  setHandler(messages.drainSignal, () => {
    draining = true;
    interrupt();
  });
  setHandler(messages.ingestQuery, () => ({ paused, cancelled, problem }), { description: 'How it stands' });
  setHandler(messages.ingestProgressSignal, (told) => {
    progress = told;
    seen = true;
    show(paused ? 'paused' : 'loading');
  });

  const ended = await load().catch((error: unknown): Ended => {
    if (!(error instanceof Error && isCancellation(error))) throw error;
    return { end: 'cancelled', problem: null };
  });
  if (ended === null) return stopped;
  return await CancellationScope.nonCancellable(() => finish(ended));

  function interrupt(): void {
    current?.cancel();
  }

  async function load(): Promise<Ended | null> {
    for (;;) {
      if (cancelled) return { end: 'cancelled', problem: null };
      if (draining) return null;
      show(paused ? 'paused' : 'loading');
      if (paused) {
        await condition(() => !paused || cancelled || draining);
        continue;
      }
      const done = await slice();
      if (done !== null) return done;
      // A wish that came meanwhile is carried out by this run.
      if (cancelled || draining || !historyIsLong() || !allHandlersFinished()) continue;
      await continueAsNew<typeof ingest>({ ...input, paused, seen, unseen });
    }
  }

  /** One run of the activity, in a scope of its own, so that a wish interrupts it and not the workflow. */
  async function slice(): Promise<Ended | null> {
    const scope = new CancellationScope();
    current = scope;
    try {
      const { kind } = await scope.run(() => loadIngest({ ...request, readOn: true }));
      [seen, unseen, problem] = [true, 0, null];
      return kind === 'loaded' || kind === 'too-many-rejects' ? { end: kind, problem: null } : null;
    } catch (error) {
      if (CancellationScope.current().consideredCancelled) throw error;
      if (isCancellation(error) || scope.consideredCancelled) return null;
      problem = problemFrom(error);
      const pause = problem.code === 'LS-INGEST-FILE-UNSEEN' ? pauseBeforeAsking(++unseen, seen) : null;
      if (pause === null) return { end: 'failed', problem };
      await condition(() => cancelled || draining || paused, pause);
      return null;
    } finally {
      current = undefined;
    }
  }

  async function finish({ end, problem: why }: Ended): Promise<messages.IngestResult> {
    show('finishing');
    problem = why;
    // What an interrupted slice left between MySQL and the stores.
    if (end !== 'loaded') await loadIngest({ ...request, readOn: false }).catch(unlessKnown);
    const copy = await ending('load is over:').settleIngest(request);
    if (copy !== null) await startCopy(request.scope, copy);
    const text = why === null ? null : `${why.code}: ${why.message}`;
    const { kind, accepted, rejected, agrees } = await ending('proof of').proveIngest({
      ...request,
      end,
      problem: text,
    });
    show(end);
    return kind === 'stopped' ? stopped : { end, accepted, rejected, agrees };
  }

  function show(phase: string): void {
    setCurrentDetails(ingestDetails(phase, progress, problem));
  }

  function historyIsLong(): boolean {
    const { continueAsNewSuggested, historyLength } = workflowInfo();
    return continueAsNewSuggested || historyLength >= (input.maxHistoryEvents ?? Infinity);
  }
}

const stopped: messages.IngestResult = { end: 'stopped', accepted: 0, rejected: 0, agrees: false };

/** What stopped the load stops this as well; the closing comparison of a direct load covers it, and the report counts it. */
function unlessKnown(error: unknown): void {
  if (error instanceof ActivityFailure && error.cause instanceof ApplicationFailure) return;
  throw error;
}
