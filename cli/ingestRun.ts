/**
 * Starts an ingest and watches it to its end. The work is the workers': whoever ends this command, or loses the machine it
 * runs on, gives the same command again and is back with the same ingest.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../core/config.js';
import { describeError, LockstepError } from '../core/errors.js';
import type { IngestOptions, IngestPlan } from '../core/ingest.js';
import type { IngestProgress, IngestReport } from '../core/ingestReport.js';
import { registerIngest, type NewTable, type Registered } from '../stages/ingestBegin.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { readProgress } from '../stores/mysql/ingestChunks.js';
import { readIngest } from '../stores/mysql/ingests.js';
import { openIngestClient, type IngestClient, type IngestState } from '../workers/ingestClient.js';
import { say } from './command.js';
import { ingestLine } from './ingestText.js';
import { withPipeline } from './pipeline.js';
import type { Progress } from './progress.js';
import { noAnswer, proveReady } from './start.js';

const lookEveryMs = 200;
/** A worker is often started beside the command: it gets this long to appear. */
const workerPatienceMs = 60_000;

/** Returns the report, whatever it says; throws where there is none. The pipeline is started if it does not run. */
export async function runIngest(
  config: Config,
  mysql: Mysql,
  asked: IngestPlan | NewTable,
  options: IngestOptions,
  progress: Progress,
): Promise<IngestReport> {
  return withPipeline(config, async (pipeline) => {
    const running = (await pipeline.view().catch(noAnswer)) !== null;
    if (!running) await proveReady(config, 'make' in asked ? ['LS-TABLES-NONE'] : []);
    const ingest = await registerIngest({ config, mysql }, asked, options);
    say(firstWords(ingest, options));
    const client = await openIngestClient(config);
    try {
      await client.start(ingest);
      // Only now: a table that is loaded directly must be known as such before anyone puts triggers on it.
      if (!running && (await pipeline.start()) === 'started') say(`pipeline ${config.pipeline} started`);
      return await watch(mysql, client, ingest, progress);
    } finally {
      await client.close();
    }
  });
}

function firstWords({ name, table, road, continued }: Registered, { throughLog }: IngestOptions): string {
  const again = continued ? 'goes on' : 'begins';
  const how =
    road === 'direct'
      ? `${table} is not captured yet, so rows go directly into every store`
      : throughLog
        ? 'rows go through triggers and the log, as asked'
        : `${table} is captured, so rows go through triggers and the log`;
  return `ingest ${name} ${again}: ${how}`;
}

async function watch(
  mysql: Mysql,
  client: IngestClient,
  ingest: Registered,
  progress: Progress,
): Promise<IngestReport> {
  const { stateDatabase } = mysql.config;
  const began = Date.now();
  let seen = false;
  try {
    for (;;) {
      let away: string | null = null;
      /** A server that does not answer for a moment is waited for: the work goes on without this command. */
      const unlessPassing = (error: unknown): null => {
        if (!(error instanceof LockstepError) || !error.retryable) throw error;
        away = describeError(error);
        return null;
      };
      const state = await client.state(ingest).catch(unlessPassing);
      const row = await readIngest(mysql, stateDatabase, ingest.name).catch(unlessPassing);
      if (row !== null && state !== null && state.kind !== 'running') {
        if (row.report !== null && state.kind === 'ended') return row.report;
        throw whyWithoutReport(state, ingest);
      }
      const at = row === null ? null : await readProgress(mysql, stateDatabase, row.id).catch(unlessPassing);
      const waits = away ?? (state?.kind === 'running' ? state.waitsFor : null);
      seen ||= at !== null || waits !== null;
      if (!seen && Date.now() - began > workerPatienceMs) {
        const what = `no worker took up ingest ${ingest.name} for ${workerPatienceMs / 1000} s; it goes on once one comes`;
        throw new LockstepError('LS-PIPELINE-NO-WORKER', what);
      }
      progress.show(lineOf(ingest.table, row?.phase === 'finishing', at, waits));
      await sleep(lookEveryMs);
    }
  } finally {
    progress.end();
  }
}

/** A load tells how it goes every 150 ms; after so long something hangs, such as a server that waits for room on its disk. */
const silentMs = 10_000;

function lineOf(
  table: string,
  finishing: boolean,
  at: (IngestProgress & { readonly silentMs: number }) | null,
  waits: string | null,
): string {
  if (at === null) {
    return waits === null
      ? 'waiting for a worker: lockstep worker starts one'
      : `${table}: nothing is loaded yet, ${waits}`;
  }
  if (finishing) {
    const line = `${table}: no row is loaded any more; the table is being proven`;
    return waits === null ? line : `${line}, ${waits}`;
  }
  const line = ingestLine(table, at);
  const silent = at.silentMs >= silentMs;
  // Chunks are under way: what an attempt before failed of is over.
  if (waits !== null && (silent || at.inFlight === 0)) return `${line}, ${waits}`;
  return silent ? `${line}, no word for ${Math.round(at.silentMs / 1000)} s` : line;
}

function whyWithoutReport(state: Exclude<IngestState, { kind: 'running' }>, { name }: Registered): LockstepError {
  if (state.kind === 'failed') return state.error;
  return new LockstepError('LS-INGEST-UNKNOWN', `ingest ${name} was ended before it had a result; call again to go on`);
}
