/**
 * A sweep: the rows of every table against the stores, then what the stores hold against MySQL, then the repair, then the
 * repaired keys again. Each chunk is an activity, and each finished chunk stands in MySQL: a sweep that ends in between is
 * taken up behind it.
 */
import {
  CancellationScope,
  condition,
  ContinueAsNew,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  patched,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  sleep,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow';
import type { SweepActivities, SweepRequest } from '../activities/contract.js';
import type { StoreName } from '../core/store.js';
import type { LeftOutReason, SweepResult } from '../core/sweep.js';
import { pipelineId } from '../core/workflowNames.js';
import { problemFrom } from './failure.js';
import { drainSignal, scopeOf, sweepReportSignal, type ValidateInput } from './messages.js';
import { sweepOptions } from './options.js';
import { nextChunk, planOf, sweptBy, type RowsPlan } from './sweepPlan.js';

/** A table that is being copied or altered is tried again for so long; then it is left out, by name. */
const asideTries = 20;
const asidePauseMs = 3_000;
/** Repaired keys that still drift after this many repairs and looks are left, and said to be. */
const repairRounds = 3;

export async function validate(input: ValidateInput): Promise<SweepResult> {
  await report(true);
  try {
    const result = await sweep(input);
    await report(false);
    return result;
  } catch (error) {
    // The next run of it tells the same again.
    if (!(error instanceof ContinueAsNew)) await CancellationScope.nonCancellable(() => report(false));
    throw error;
  }

  /** Whoever stops the pipeline ends what runs of its sweeps. One that is not there has ended, and the first part tells. */
  async function report(running: boolean): Promise<void> {
    const { workflowId } = workflowInfo();
    try {
      await getExternalWorkflowHandle(pipelineId(input.pipeline)).signal(sweepReportSignal, { workflowId, running });
    } catch (error) {
      if (isCancellation(error)) throw error;
    }
  }
}

async function sweep(input: ValidateInput): Promise<SweepResult> {
  const acts = (summary: string): SweepActivities =>
    proxyActivities<SweepActivities>(sweepOptions(input.pipeline, summary));
  const { tables, sweepStores: stores } = input;
  const scope = scopeOf(input);
  const begun = input.repairing ?? (await begin());
  const request: SweepRequest = { scope, sweep: begun.sweep, tables, stores };
  const sweeping = new CancellationScope();
  let drained = false;
  setHandler(drainSignal, () => {
    drained = true;
    sweeping.cancel();
  });
  try {
    return await sweeping.run(async () => {
      const drift = 'drift' in begun ? begun.drift : await find(begun);
      const mended = input.repair && drift > 0 ? await repair(drift) : { repaired: 0, left: drift, tooMuch: [] };
      const { repaired, left, tooMuch } = mended;
      const held = tooMuch.length === 0 ? '' : ` Too much drifts to be repaired unasked: ${tooMuch.join(', ')}.`;
      show(`Done: ${drift} keys drifted, ${repaired} were repaired, ${left} are left.${held}`);
      return {
        sweep: begun.sweep,
        state: 'done' as const,
        drift,
        repaired,
        left,
        ...(tooMuch.length === 0 ? {} : { tooMuch }),
      };
    });
  } catch (error) {
    if (isCancellation(error) && !drained) {
      await CancellationScope.nonCancellable(() => acts('ended before it was through').endSweep(request));
      throw error;
    }
    if (!drained && !(error instanceof Error && error.name === 'ActivityFailure')) throw error;
    const reason = drained ? 'the pipeline was stopped' : describe(error);
    await CancellationScope.nonCancellable(() => acts('ended before it was through').endSweep(request));
    show(`Ended before it was through: ${reason}`);
    return { sweep: begun.sweep, state: 'ended', reason, drift: 0, repaired: 0, left: 0 };
  }

  function begin(): Promise<Begun> {
    const sweep = input.sweep ?? uuid4();
    return acts('what is to be swept').beginSweep({ scope, sweep, tables, stores, askedBy: input.askedBy });
  }

  /** How many keys drift. */
  async function find({ tables: found, entries }: Begun): Promise<number> {
    await rowsOfAll(planOf(found));
    const through = await Promise.all(stores.map((store) => entriesOf(store, entries[store] ?? null)));
    if (through.includes(false)) await goOn();
    return (await acts('the sums').finishSweep(request)).drift;
  }

  /** What matters most comes first: the page shows a few lines before it has to be scrolled. */
  function show(line: string): void {
    setCurrentDetails(
      `${line}\n\nDrift that is left: \`lockstep status\`; one key's story: \`lockstep explain TABLE KEY\`.`,
    );
  }

  async function rowsOfAll(plan: RowsPlan): Promise<void> {
    const asides = await rowsOf(plan);
    for (const [table, reason] of asides) await aside(table, reason);
  }

  /** Chunk by chunk, as many at a time as are allowed; returns the tables that could not be judged. */
  async function rowsOf(plan: RowsPlan): Promise<ReadonlyMap<string, LeftOutReason>> {
    const lanes = Array.from({ length: input.parallel }, async () => {
      while (!historyIsLong()) {
        const job = nextChunk(plan);
        if (job === 'wait') {
          const before = plan.finished;
          await condition(() => plan.finished !== before);
          continue;
        }
        if (job === null) return;
        const outcome = await acts(`rows of ${job.table}, chunk ${job.number + 1}`).sweepRows({ ...request, ...job });
        sweptBy(plan, job, outcome);
        const through = plan.tables.filter((table) => table.through).length;
        show(`${through} of ${plan.tables.length} tables through: ${plan.rows} rows swept, ${plan.drift} keys drift.`);
      }
    });
    await Promise.all(lanes);
    if (!plan.tables.every(({ through }) => through)) await goOn();
    return plan.asides;
  }

  /** Every finished chunk is known in MySQL: the next run begins behind them. */
  function goOn(): Promise<never> {
    return continueAsNew<typeof validate>({ ...input, sweep: begun.sweep });
  }

  /** Begun anew once it can be judged, or left out. */
  async function aside(table: string, first: LeftOutReason): Promise<void> {
    let reason = first;
    for (let attempt = 0; attempt < asideTries; attempt++) {
      const taken = await acts(table).takeAgain({ ...request, table });
      if (taken.kind === 'again') {
        const asides = await rowsOf(planOf([{ name: table, chunks: 1, next: 0, through: false }]));
        const again = asides.get(table);
        if (again === undefined) return;
        reason = again;
      } else reason = taken.reason;
      if (reason === 'paused' || reason === 'dropped') break;
      show(`${table} is set aside: ${reason}.`);
      await sleep(asidePauseMs);
    }
    await acts(table).leaveOut({ ...request, table, reason });
  }

  /** False: the history has become long before the last part. */
  async function entriesOf(store: StoreName, first: number | null): Promise<boolean> {
    if (first === null) return true;
    for (let number = first; !historyIsLong();) {
      show(`Rows are through; what ${store} holds, part ${number + 1}.`);
      const outcome = await acts(`entries of ${store}, part ${number + 1}`).sweepEntries({ ...request, store, number });
      switch (outcome.kind) {
        case 'again':
          number = 0;
          break;
        case 'swept':
          if (outcome.last) return true;
          number += 1;
          break;
        case 'stopped':
          // Its worker ends; another one goes on.
          break;
      }
    }
    return false;
  }

  async function repair(drift: number): Promise<Mended> {
    let tooMuch: readonly string[] = [];
    for (let round = input.repairing?.round ?? 1; ; round++) {
      for (;;) {
        const outcome = await acts(`repair ${round}`).repairSweep({ ...request, limits: input.limits });
        if (outcome.kind === 'stopped') continue;
        show(`${outcome.keys} keys were logged again.`);
        tooMuch = outcome.tooMuch;
        if (outcome.waitMs === null) break;
        if (outcome.waitMs > 0) await sleep(outcome.waitMs);
        // A few keys a minute can take days; what is repaired is known in MySQL.
        if (historyIsLong() && patched('a repair goes on')) {
          await continueAsNew<typeof validate>({ ...input, repairing: { sweep: begun.sweep, drift, round } });
        }
      }
      const checked = await acts(`repaired keys again, ${round}`).recheckSweep(request);
      if (checked.kind === 'stopped') continue;
      const { healed, left } = checked;
      if (left === 0 || round >= repairRounds) return { repaired: healed, left: Math.max(0, drift - healed), tooMuch };
    }
  }

  function historyIsLong(): boolean {
    const { continueAsNewSuggested, historyLength } = workflowInfo();
    return continueAsNewSuggested || historyLength >= (input.maxHistoryEvents ?? Infinity);
  }
}

type Begun = Awaited<ReturnType<SweepActivities['beginSweep']>>;

interface Mended {
  readonly repaired: number;
  readonly left: number;
  /** Tables of which more drifts than may be repaired unasked. */
  readonly tooMuch: readonly string[];
}

function describe(error: unknown): string {
  const { code, message } = problemFrom(error);
  return `${code}: ${message}`;
}
