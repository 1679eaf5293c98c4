/** Ingest: loads files in slices, and ends a load. Tells its workflow how it goes, now and then. */
import { access, constants } from 'node:fs/promises';
import { hostname } from 'node:os';
import { Context } from '@temporalio/activity';
import { LockstepError } from '../core/errors.js';
import type { IngestProgress } from '../core/ingestReport.js';
import type { PipelineIdentity } from '../core/pipelineIdentity.js';
import { loadFiles, type IngestDeps } from '../stages/ingest.js';
import { proveIngest, settleIngest } from '../stages/ingestEnd.js';
import { readIngest } from '../stores/mysql/ingests.js';
import { ingestProgressSignal } from '../workflows/messages.js';
import type { IngestActivities } from './contract.js';
import { refuseAnotherPipeline, runStage, failingCleanly } from './run.js';

export interface IngestActivityDeps extends IngestDeps {
  readonly identity: PipelineIdentity;
}

/** A history must not grow with a load that takes days. */
const sliceMs = 5 * 60_000;
const tellEveryMs = 5_000;
/** Where nothing moves. */
const tellStillEveryMs = 60_000;
const beatEveryMs = 300;

export function ingestActivities(deps: IngestActivityDeps): IngestActivities {
  const tellerOf = tellers();
  return {
    loadIngest: ({ scope, ingest, readOn }) =>
      runStage(async ({ signal, beat, trouble }) => {
        refuseAnotherPipeline(scope.identity, deps.identity);
        if (readOn) await refuseUnseenFiles(deps, ingest);
        const hooks = { beat, trouble, progress: tellerOf() };
        return await beating(beat, () => loadFiles(deps, ingest, { readOn, sliceMs }, signal, hooks));
      }, null),
    settleIngest: ({ scope, ingest }) =>
      failingCleanly(async () => {
        refuseAnotherPipeline(scope.identity, deps.identity);
        const context = Context.current();
        return await beating(
          () => context.heartbeat(),
          () => settleIngest(deps, ingest),
        );
      }),
    proveIngest: ({ scope, ingest, end, problem }) =>
      runStage(async ({ signal, beat, trouble }) => {
        refuseAnotherPipeline(scope.identity, deps.identity);
        const report = await beating(beat, () => proveIngest(deps, ingest, end, problem, signal, { beat, trouble }));
        if (report === null) return { kind: 'stopped', accepted: 0, rejected: 0, agrees: false } as const;
        const { accepted, rejected, agrees } = report;
        return { kind: 'proven', accepted, rejected, agrees } as const;
      }, null),
  };
}

/** A store that is away answers late. */
async function beating<T>(beat: () => void, work: () => Promise<T>): Promise<T> {
  const timer = setInterval(beat, beatEveryMs);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/** Another worker may see it: the workflow asks again, and whoever is free takes it up. */
async function refuseUnseenFiles({ mysql }: IngestActivityDeps, name: string): Promise<void> {
  const ingest = await readIngest(mysql, mysql.config.stateDatabase, name);
  for (const { path } of ingest?.plan.files ?? []) {
    try {
      await access(path, constants.R_OK);
    } catch (error) {
      throw new LockstepError('LS-INGEST-FILE-UNSEEN', `the worker on ${hostname()} does not see ${path}`, {
        cause: error,
      });
    }
  }
}

type Tell = (progress: IngestProgress) => void;

/**
 * Progress is worth an event of the history every few seconds, and no failure. What is told stays known from one attempt to
 * the next: a load that waits for a store is attempted every second, for days if need be.
 */
function tellers(): () => Tell {
  const told = new Map<string, { readonly at: number; readonly rows: number; readonly trouble: string | null }>();
  return () => {
    const { client, info, log } = Context.current();
    const id = info.workflowExecution?.workflowId;
    return (progress) => {
      if (id === undefined) return;
      const now = { at: performance.now(), rows: progress.accepted + progress.landed, trouble: progress.trouble };
      const before = told.get(id);
      const news = before === undefined || before.rows !== now.rows || before.trouble !== now.trouble;
      if (before !== undefined && now.at - before.at < (news ? tellEveryMs : tellStillEveryMs)) return;
      told.set(id, now);
      client.workflow
        .getHandle(id)
        .signal(ingestProgressSignal, progress)
        .catch((error: unknown) => {
          log.debug('progress was not told', { error: String(error) });
        });
    };
  };
}
