/**
 * Ingest: files into a table and from there into every store. Loads slice by slice until all is in, or until it is told to
 * end; then brings the table to where it streams and is proven. A pause ends the reading: what is in MySQL by then lands,
 * however long a store is away, and only then it rests. Where it stands is in MySQL, so it may be started again.
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
  /** The slice under way. */
  let current: { readonly scope: CancellationScope; readonly reads: boolean } | undefined;
  /** Nothing is between MySQL and the stores, and nothing has been read since. */
  let landed = false;
  let progress: IngestProgress | null = null;
  let problem: OpenProblem | null = null;
  let unseen = input.unseen ?? 0;
  let seen = input.seen === true;

  setHandler(messages.pauseIngestUpdate, () => {
    paused = true;
    stopReading();
  });
  setHandler(messages.resumeIngestUpdate, () => {
    paused = false;
  });
  setHandler(messages.cancelIngestUpdate, () => {
    cancelled = true;
    stopReading();
  });
  setHandler(messages.drainSignal, () => {
    draining = true;
    current?.scope.cancel();
  });
  setHandler(messages.ingestQuery, () => ({ paused, landed, cancelled, problem }), { description: 'How it stands' });
  setHandler(messages.ingestProgressSignal, (told) => {
    progress = told;
    seen = true;
    show(phase());
    // A slice that waits for a store may take days, and each word of its progress is in the history.
    if (historyIsLong()) current?.scope.cancel();
  });

  const ended = await load().catch((error: unknown): Ended => {
    if (!(error instanceof Error && isCancellation(error))) throw error;
    return { end: 'cancelled', problem: null };
  });
  if (ended === null) return stopped;
  return await CancellationScope.nonCancellable(() => finish(ended));

  /** What only lands goes on: nothing that is wished for can come before it. */
  function stopReading(): void {
    if (current?.reads === true) current.scope.cancel();
  }

  async function load(): Promise<Ended | null> {
    for (;;) {
      if (cancelled) return { end: 'cancelled', problem: null };
      if (draining) return null;
      show(phase());
      if (paused && landed) {
        await condition(() => !paused || cancelled || draining);
        continue;
      }
      const done = await slice(!paused);
      if (done !== null) return done;
      // A wish that came meanwhile is carried out by this run.
      if (cancelled || draining || !historyIsLong() || !allHandlersFinished()) continue;
      await continueAsNew<typeof ingest>({ ...input, paused, seen, unseen });
    }
  }

  /** One run of the activity, in a scope of its own, so that a wish interrupts it and not the workflow. */
  async function slice(reads: boolean): Promise<Ended | null> {
    const scope = new CancellationScope();
    current = { scope, reads };
    landed = false;
    try {
      const { kind } = await scope.run(() => loadIngest({ ...request, readOn: reads }));
      problem = null;
      if (!reads) {
        landed = kind === 'loaded';
        return null;
      }
      [seen, unseen] = [true, 0];
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

  function phase(): string {
    if (!paused) return 'loading';
    return landed ? 'paused' : 'paused, what is in MySQL lands';
  }

  function show(what: string): void {
    setCurrentDetails(ingestDetails(what, progress, problem));
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
