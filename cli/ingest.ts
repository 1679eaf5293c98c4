/** `lockstep ingest`: files into MySQL, MongoDB and Redis together; returns when every row is accounted for. */
import type { Command } from 'commander';
import type { Config } from '../core/config.js';
import { codeOf, LockstepError } from '../core/errors.js';
import type { IngestPlan } from '../core/ingest.js';
import type { IngestReport } from '../core/ingestReport.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { addCommand, configOf, printResult, say, withConfig, withJson } from './command.js';
import {
  optionsFrom,
  readingFrom,
  targetsFrom,
  withIngestOptions,
  type IngestFlags,
  type Target,
} from './ingestOptions.js';
import { dryRunLines, planLines, reportLines, thousands } from './ingestText.js';
import type { RunDeps } from './ingestRun.js';
import { openProgress } from './progress.js';

export function addIngest(program: Command): void {
  const command = addCommand(program, {
    name: 'ingest',
    summary: 'Loads files into MySQL, MongoDB and Redis together: resumable, every row checked and accounted for.',
    examples: [
      'lockstep ingest flights flights.csv --null NA',
      'lockstep ingest flights "2024/*.csv.gz" --dry-run        # checks every row, writes nothing',
      'lockstep ingest weather weather.csv --create --yes       # makes the table as well',
      'zcat dump.ndjson.gz | lockstep ingest events - --mode upsert --rejects bad.csv',
      'lockstep ingest orders=orders.csv lines=lines.parquet    # several tables, parents first',
    ],
  }).argument('<what...>', 'TABLE FILE…, or TABLE=FILE…; a FILE may be a pattern, or - for standard input');
  withJson(withConfig(withIngestOptions(command))).action(async (words: readonly string[], flags: IngestFlags) => {
    const targets = targetsFrom(words);
    const config = await configOf(flags);
    const results = await ingestAll(config, targets, flags);
    const all = results.length === 1 ? results[0]?.json : { ingests: results.map(({ json }) => json) };
    printResult(flags, all, results.map(({ words: lines }) => lines).join('\n'));
    if (!results.every(({ good }) => good)) process.exitCode = 1;
  });
}

interface Result {
  readonly json: unknown;
  readonly words: string;
  readonly good: boolean;
}

async function ingestAll(config: Config, targets: readonly Target[], flags: IngestFlags): Promise<readonly Result[]> {
  const [{ openMysql }, { inOrder }] = await Promise.all([
    import('../stores/mysql/connection.js'),
    import('./ingestTargets.js'),
  ]);
  const mysql = openMysql(config.mysql, { connections: 2 });
  try {
    const results: Result[] = [];
    for (const target of await inOrder(config, mysql, targets)) {
      const result = await ingestOne(config, mysql, target, flags, targets.length > 1);
      results.push(result);
      // Its children would name rows that are not there.
      if (!result.good) break;
    }
    return results;
  } finally {
    await mysql.close();
  }
}

async function ingestOne(
  config: Config,
  mysql: Mysql,
  target: Target,
  flags: IngestFlags,
  oneOfMany: boolean,
): Promise<Result> {
  const [{ readingOf, surveyFiles, planIngest }, { fetchInput, targetTable, proposeTable }] = await Promise.all([
    import('../stages/ingestPlan.js'),
    import('./ingestTargets.js'),
  ]);
  const progress = openProgress();
  let plan: IngestPlan;
  try {
    const files = await fetchInput(target.files, flags, (text) => progress.show(text));
    const { sources, reading } = await readingOf(files, readingFrom(flags));
    const proposal = await proposeTable(config, mysql, target.table, sources, reading, flags);
    if (proposal !== null) {
      progress.end();
      say(proposal.words);
      if (flags.yes !== true) return proposed(target.table, proposal.sql);
    }
    const surveyed = await surveyFiles(sources, reading, (path, bytes) => {
      progress.show(`looking through ${path}: ${mebibytes(bytes)}`);
    });
    // Made last: from now on a running pipeline may capture it, and then the direct road is closed.
    const found = await targetTable(config, mysql, target.table, proposal);
    plan = planIngest(surveyed, reading, found, flags.mode ?? 'insert');
  } finally {
    progress.end();
  }
  say(planLines(plan));
  return flags.dryRun === true ? await tryOut(plan, flags) : await load(config, mysql, plan, flags, oneOfMany);
}

function proposed(table: string, sql: string): Result {
  const words = `${table} was not made: --yes makes it and loads the files`;
  return { json: { table, created: false, create: sql }, words, good: true };
}

async function tryOut(plan: IngestPlan, flags: IngestFlags): Promise<Result> {
  const [{ dryRun }, { readChunks }, { writeRejects }, { fileName }] = await Promise.all([
    import('../stages/ingestDryRun.js'),
    import('../stores/files/readChunks.js'),
    import('../stores/files/rejectFile.js'),
    import('./ingestRun.js'),
  ]);
  const progress = openProgress();
  const { table } = plan.definition;
  const path = flags.rejects ?? `rejects-${table}.ndjson`;
  let result = { records: 0, accepted: 0, rejected: 0, reasons: {} };
  const rejects = dryRun(
    plan,
    readChunks,
    (records) => progress.show(`${thousands(records)} of ${thousands(plan.records)} records checked`),
    (end) => {
      result = end;
    },
  );
  const named = (async function* () {
    for await (const { fileIndex, ...reject } of rejects) yield { ...reject, file: fileName(plan, fileIndex) };
  })();
  const written = await writeRejects(path, named).finally(() => progress.end());
  const rejectFile = written === 0 ? null : path;
  return {
    json: { dryRun: true, table, ...result, rejectFile },
    words: dryRunLines(table, result, rejectFile),
    good: result.rejected <= (flags.maxRejects ?? 0),
  };
}

async function load(
  config: Config,
  mysql: Mysql,
  plan: IngestPlan,
  flags: IngestFlags,
  oneOfMany: boolean,
): Promise<Result> {
  const [{ openIngestClient }, { withPipeline }, { runIngest }, { writeRejects }] = await Promise.all([
    import('../workers/ingestClient.js'),
    import('./pipeline.js'),
    import('./ingestRun.js'),
    import('../stores/files/rejectFile.js'),
  ]);
  const running = await withPipeline(config, (pipeline) => pipeline.view());
  if (running === null) {
    throw new LockstepError(
      'LS-PIPELINE-NOT-RUNNING',
      `pipeline ${config.pipeline} does not run: rows could not reach the stores`,
    );
  }
  const client = await openIngestClient(config);
  try {
    const deps: RunDeps = { config, mysql, client };
    const { report, rejects } = await runIngest(deps, plan, optionsFrom(flags));
    const path = flags.rejects ?? `rejects-${report.table}-${report.ingest}.ndjson`;
    const rejectFile = report.rejected > 0 && (await writeRejects(path, rejects())) > 0 ? path : null;
    return loaded(report, rejectFile);
  } catch (error) {
    // A command for several tables that was broken off is given again as it was.
    if (oneOfMany && codeOf(error) === 'LS-INGEST-DONE') return inAlready(plan, error);
    throw error;
  } finally {
    await client.close();
  }
}

function loaded(report: IngestReport, rejectFile: string | null): Result {
  return { json: { ...report, rejectFile }, words: reportLines(report, rejectFile), good: report.agrees };
}

function inAlready(plan: IngestPlan, error: unknown): Result {
  const { table } = plan.definition;
  const words = `${table}: ${error instanceof Error ? error.message : 'it is in already'}`;
  return { json: { table, done: true, message: words }, words, good: true };
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}
