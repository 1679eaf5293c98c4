/** Witness: the binary log against the change log, until told to end. */
import { Context } from '@temporalio/activity';
import type { PipelineIdentity } from '../core/pipelineIdentity.js';
import { runWitness, type WitnessDeps } from '../stages/witness.js';
import { askForLook } from './askForLook.js';
import type { CaptureActivities } from './contract.js';
import { refuseAnotherPipeline, runStage } from './run.js';

export interface WitnessActivityDeps extends WitnessDeps {
  readonly identity: PipelineIdentity;
  /** Aborts when this process is to end. */
  readonly draining: AbortSignal;
}

/** Statements that change a schema come in bursts: one look serves them all. */
const lookEveryMs = 1_000;

export function witnessActivities(deps: WitnessActivityDeps): Pick<CaptureActivities, 'runWitness'> {
  return {
    runWitness: (scope) =>
      runStage(async ({ signal, beat }) => {
        refuseAnotherPipeline(scope.identity, deps.identity);
        const context = Context.current();
        const tags = { pipeline: scope.pipeline };
        const witnessed = context.metricMeter.createCounter('lockstep_witnessed_changes', 'changes');
        const escaped = context.metricMeter.createCounter('lockstep_escaped_keys', 'keys');
        const looks = new Looks(scope.pipeline);
        try {
          return await runWitness(deps, signal, {
            beat,
            lookNow: () => looks.ask(),
            witnessed: (changes) => witnessed.add(changes, tags),
            escaped: ({ table, cause, keys }) => {
              escaped.add(keys ?? 1, { ...tags, cause });
              context.log.warn('changes escaped the triggers', { table, cause, keys });
            },
          });
        } finally {
          looks.end();
        }
      }, deps.draining),
  };
}

/** Asks the pipeline for a look at once, and for one more after what came since. */
class Looks {
  readonly #pipeline: string;
  #timer: NodeJS.Timeout | null = null;
  #again = false;

  constructor(pipeline: string) {
    this.#pipeline = pipeline;
  }

  ask(): void {
    if (this.#timer !== null) {
      this.#again = true;
      return;
    }
    void askForLook(this.#pipeline);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (!this.#again) return;
      this.#again = false;
      this.ask();
    }, lookEveryMs);
  }

  end(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}
