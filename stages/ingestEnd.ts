/**
 * Ends an ingest, however it ended: what is in MySQL is brought into the stores, the table becomes streaming, and only then
 * is anything said to be equal. After a direct load nobody can write directly any more before the triggers go on, and the
 * copy that follows them compares every row of the table (stages/snapshotDifferent.ts).
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../core/config.js';
import { LockstepError } from '../core/errors.js';
import { agrees, type IngestEnd, type IngestReport } from '../core/ingestReport.js';
import { tableTopic } from '../core/names.js';
import type { ProvingCopy } from '../core/outcome.js';
import type { Store } from '../core/store.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { readCopy } from '../stores/mysql/copies.js';
import { countNotLanded, countReasons, landRest, readCounts, readDigests } from '../stores/mysql/ingestChunks.js';
import { moveIngest, raiseIngestEpoch, readIngest, type Ingest } from '../stores/mysql/ingests.js';
import { readCapturedTables } from '../stores/mysql/state.js';
import { closeLanes } from './ingestLane.js';
import { Stopped } from './ingestLanding.js';
import { MarkerWatch } from './ingestMarkers.js';
import { settleLoaded } from './tables.js';

export interface EndDeps {
  readonly config: Config;
  readonly mysql: Mysql;
  readonly stores: readonly Store[];
}

/** Safe to repeat: until the last step the table is held, and everything is done once more. */
export async function settleIngest({ config, mysql, stores }: EndDeps, name: string): Promise<ProvingCopy | null> {
  const { stateDatabase } = config.mysql;
  const ingest = await known(mysql, stateDatabase, name);
  // In one: an attempt to load that comes between the two would be the last one, and write on.
  await mysql.transaction(async (queries) => {
    await raiseIngestEpoch(queries, stateDatabase, ingest.id);
    await moveIngest(queries, stateDatabase, ingest.id, { phase: 'finishing' });
  });
  if (!ingest.held) return ingest.copyRun === null ? null : { table: ingest.table, run: ingest.copyRun };
  for (const store of stores) await closeLanes(store, ingest.id);
  await settleLoaded({ config, mysql }, ingest.table, ingest.options.asEvents ? 'asked' : 'loaded');
  const copy = await copyOf(mysql, stateDatabase, ingest.table);
  if (copy === null) throw new LockstepError('LS-INTERNAL', `no copy of ${ingest.table} is due after its load`);
  await moveIngest(mysql, stateDatabase, ingest.id, { held: false, copyRun: copy.run });
  return { table: ingest.table, run: copy.run };
}

const lookEveryMs = 100;

/**
 * Returns the report once the table is copied and every store has applied what was logged until then. A pipeline that does
 * not run, or is paused, is waited for.
 */
export async function proveIngest(
  deps: EndDeps,
  name: string,
  end: IngestEnd,
  problem: string | null,
  signal: AbortSignal,
  hooks: { readonly beat: () => void; readonly trouble: (error: LockstepError | null) => void },
): Promise<IngestReport | null> {
  const { config, mysql, stores } = deps;
  const { stateDatabase } = config.mysql;
  const ingest = await known(mysql, stateDatabase, name);
  const { definition } = ingest.plan;
  let relogged = 0;
  if (ingest.copyRun !== null) {
    for (;;) {
      hooks.beat();
      if (signal.aborted) return null;
      const copy = await copyOf(mysql, stateDatabase, ingest.table);
      if (copy === null) throw new LockstepError('LS-TABLE-UNKNOWN', `table ${ingest.table} is not captured any more`);
      if (copy.phase === 'done') {
        // One row is logged in any case.
        relogged = ingest.options.asEvents ? 0 : Math.max(0, copy.rowsCopied - 1) + copy.orphans;
        break;
      }
      await sleep(lookEveryMs);
    }
    const topic = tableTopic(config.kafka.topicPrefix, definition.database, definition.table);
    const { trouble } = hooks;
    const markers = new MarkerWatch({
      mysql,
      stateDatabase,
      stores,
      topic,
      signal,
      trouble,
      shards: config.apply.shards,
    });
    try {
      await markers.passed(await markers.write());
    } catch (error) {
      if (error instanceof Stopped) return null;
      throw error;
    }
    // Whatever of them had not landed by itself was compared and logged with the whole table.
    await landRest(mysql, stateDatabase, ingest.id);
  }
  const report = await reportOf(deps, ingest, end, problem, relogged);
  await moveIngest(mysql, stateDatabase, ingest.id, { phase: end, report });
  return report;
}

async function reportOf(
  { mysql, stores }: EndDeps,
  { id, name, table, options, road, plan, startedAt, copyRun }: Ingest,
  end: IngestEnd,
  problem: string | null,
  relogged: number,
): Promise<IngestReport> {
  const { stateDatabase } = mysql.config;
  const { accepted, rejected, altered, changed, parked } = await readCounts(mysql, stateDatabase, id);
  const hash = createHash('sha256');
  for await (const digest of readDigests(mysql, stateDatabase, id)) hash.update(digest);
  const seconds = Math.max(0.001, (Date.now() - startedAt) / 1000);
  const open = await countNotLanded(mysql, stateDatabase, id);
  const proof = { equal: accepted - changed - parked - open, changed, parked };
  const report: Omit<IngestReport, 'agrees'> = {
    ingest: name,
    table,
    mode: options.mode,
    road: copyRun === null ? road : 'direct',
    end,
    problem,
    files: plan.files.map(({ path, entry, records }) => ({ path, entry, records })),
    records: plan.records,
    accepted,
    rejected,
    notRead: Math.max(0, plan.records - accepted - rejected),
    reasons: await countReasons(mysql, stateDatabase, id),
    digest: hash.digest('hex'),
    mysql: { equal: accepted - altered, altered },
    stores: Object.fromEntries(stores.map((store) => [store.name, proof])),
    relogged,
    seconds,
    rowsPerSecond: Math.round((accepted + rejected) / seconds),
  };
  return { ...report, agrees: agrees(report) };
}

async function known(mysql: Mysql, stateDatabase: string, name: string): Promise<Ingest> {
  const ingest = await readIngest(mysql, stateDatabase, name);
  if (ingest === null) throw new LockstepError('LS-INGEST-UNKNOWN', `there is no ingest ${name}`);
  return ingest;
}

async function copyOf(
  mysql: Mysql,
  stateDatabase: string,
  table: string,
): Promise<Awaited<ReturnType<typeof readCopy>>> {
  const captured = (await readCapturedTables(mysql, stateDatabase)).find((entry) => entry.name === table);
  return captured === undefined ? null : await readCopy(mysql, stateDatabase, captured.id);
}
