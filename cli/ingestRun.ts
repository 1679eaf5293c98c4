/** One planned ingest from its registration to its report. The workflow does the work: this only watches, and may be killed. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../core/config.js';
import { LockstepError } from '../core/errors.js';
import type { IngestOptions, IngestPlan } from '../core/ingest.js';
import type { IngestProgress, IngestReport } from '../core/ingestReport.js';
import { registerIngest, type Registered } from '../stages/ingestBegin.js';
import type { RejectedRow } from '../stores/files/rejectFile.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { readProgress, readRejects } from '../stores/mysql/ingestChunks.js';
import { readIngest, type Ingest } from '../stores/mysql/ingests.js';
import type { IngestClient, IngestPlace, IngestState } from '../workers/ingestClient.js';
import { say } from './command.js';
import { progressLine } from './ingestText.js';
import { openProgress } from './progress.js';

const lookEveryMs = 250;
/** A worker is often started beside the command: it gets this long to appear. */
const workerPatienceMs = 60_000;

export interface RunDeps {
  readonly config: Config;
  readonly mysql: Mysql;
  readonly client: IngestClient;
}

export interface Ran {
  readonly report: IngestReport;
  readonly rejects: () => AsyncIterable<RejectedRow>;
}

export async function runIngest(deps: RunDeps, plan: IngestPlan, options: IngestOptions): Promise<Ran> {
  const place = await registerIngest(deps, plan, options);
  const started = await deps.client.start(place);
  say(beginLine(place, started));
  const detach = (): void => {
    say(`\ningest ${place.name} goes on without this command; lockstep ingests cancel ${place.name} ends it`);
    process.exit(1);
  };
  process.once('SIGINT', detach);
  try {
    await untilEnded(deps, place);
  } finally {
    process.off('SIGINT', detach);
  }
  const ingest = await readIngest(deps.mysql, deps.config.mysql.stateDatabase, place.name);
  if (ingest === null || ingest.report === null) {
    throw new LockstepError('LS-INGEST-UNKNOWN', `ingest ${place.name} has ended without a report`);
  }
  return { report: ingest.report, rejects: () => rejectsOf(deps, ingest) };
}

function beginLine({ name, road, continued }: Registered, started: 'started' | 'running'): string {
  const what = started === 'running' ? 'runs already' : continued ? 'goes on' : 'begins';
  const how =
    road === 'direct'
      ? 'directly into MySQL and the stores, since the table is not streaming yet'
      : 'through its triggers and the log, as any change';
  return `ingest ${name} ${what}: ${how}`;
}

async function untilEnded({ config, mysql, client }: RunDeps, place: IngestPlace): Promise<void> {
  const { stateDatabase } = config.mysql;
  const ingest = await readIngest(mysql, stateDatabase, place.name);
  const progress = openProgress();
  const begunAt = Date.now();
  try {
    for (;;) {
      const state = await client.state(place).catch(notNow);
      if (state.kind === 'ended') return;
      if (state.kind === 'failed') throw state.error;
      if (state.kind === 'gone') {
        throw new LockstepError(
          'LS-INGEST-UNKNOWN',
          `somebody has ended ingest ${place.name}: the same command goes on with it`,
        );
      }
      const seen = ingest === null ? null : await readProgress(mysql, stateDatabase, ingest.id).catch(() => null);
      if (seen === null && state.waitsFor === null && Date.now() - begunAt > workerPatienceMs) {
        const message = `no worker took up ingest ${place.name} in ${workerPatienceMs / 1000} s; it goes on once one runs`;
        throw new LockstepError('LS-PIPELINE-NO-WORKER', message);
      }
      progress.show(lineOf(state, seen, begunAt));
      await sleep(lookEveryMs);
    }
  } finally {
    progress.end();
  }
}

/** Temporal is away for a moment: the ingest goes on, and so does the watching. */
function notNow(error: unknown): IngestState {
  if (error instanceof LockstepError && error.code === 'LS-TEMPORAL-UNREACHABLE') {
    return { kind: 'running', waitsFor: error.message };
  }
  throw error;
}

function lineOf(state: IngestState, seen: IngestProgress | null, begunAt: number): string {
  const waits = state.kind === 'running' && state.waitsFor !== null ? `; waits: ${state.waitsFor}` : '';
  if (seen !== null) return `${progressLine(seen, process.stderr.isTTY ? process.stderr.columns : 0)}${waits}`;
  return Date.now() - begunAt > 2_000 && waits === ''
    ? 'waiting for a worker: lockstep worker starts one'
    : `begins${waits}`;
}

async function* rejectsOf({ config, mysql }: RunDeps, { id, plan }: Ingest): AsyncGenerator<RejectedRow> {
  for await (const { file, ...reject } of readRejects(mysql, config.mysql.stateDatabase, id)) {
    yield { ...reject, file: fileName(plan, file) };
  }
}

export function fileName(plan: IngestPlan, index: number): string {
  const file = plan.files[index];
  if (file === undefined) return '';
  return file.entry === null ? file.path : `${file.path}: ${file.entry}`;
}
