/** `lockstep ingest`: files into MySQL, MongoDB and Redis together; returns when every row is accounted for. */
import { existsSync } from 'node:fs';
import { join, parse } from 'node:path';
import type { Command } from 'commander';
import type { Config } from '../core/config.js';
import { LockstepError } from '../core/errors.js';
import type { IngestPlan } from '../core/ingest.js';
import type { NewTable } from '../stages/ingestBegin.js';
import type { DryRun } from '../stages/ingestDryRun.js';
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
import { count, dryRunText, fileName, planLine, RejectKinds } from './ingestWords.js';
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
    const all = targets.length === 1 ? results[0]?.json : { ingests: results.map(({ json }) => json) };
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
  const mysql = openMysql(config.mysql, { connections: 3 });
  try {
    const results: Result[] = [];
    for (const target of await inOrder(config, mysql, targets)) {
      const oneOfMany = targets.length > 1;
      const own = oneOfMany ? { ...flags, ...rejectsOf(target.table, flags) } : flags;
      const result = await ingestOne(config, mysql, target, own, oneOfMany);
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
  const [{ readingOf, surveyFiles, planIngest }, { refuseMissingRights }, { fetchInput, targetTable, proposeTable }] =
    await Promise.all([
      import('../stages/ingestPlan.js'),
      import('../stages/ingestRights.js'),
      import('./ingestTargets.js'),
    ]);
  const progress = openProgress();
  const { table } = target;
  const mode = flags.mode ?? 'insert';
  let asked: IngestPlan | NewTable;
  try {
    const files = await fetchInput(target.files, flags, (text) => progress.show(text));
    const { sources, reading } = await readingOf(files, readingFrom(flags));
    const proposal = await proposeTable(config, mysql, table, sources, reading, flags);
    if (proposal !== null) {
      progress.end();
      say(proposal.words);
      if (flags.yes !== true || flags.dryRun === true) return proposed(table, proposal.sql);
    }
    if (flags.dryRun !== true) await refuseMissingRights(mysql, { table, mode, makesTable: proposal !== null });
    const surveyed = await surveyFiles(sources, reading, (path, bytes) => {
      progress.show(`looking through ${path}: ${mebibytes(bytes)}`);
    });
    const make = async (): Promise<IngestPlan> => {
      const plan = planIngest(surveyed, reading, await targetTable(config, mysql, table, proposal), mode);
      say(planLine(plan));
      return plan;
    };
    // Made in the ingest's own turn: a running pipeline that captured it first would close the direct road.
    asked = proposal !== null && flags.throughLog !== true ? { table, make } : await make();
  } finally {
    progress.end();
  }
  if (flags.dryRun === true && !('make' in asked)) return await tryOut(asked, flags);
  return await load(config, mysql, table, asked, flags, oneOfMany);
}

function proposed(table: string, sql: string): Result {
  const words = `${table} was not made: --yes makes it and loads the files`;
  return { json: { table, created: false, create: sql }, words, good: true };
}

async function tryOut(plan: IngestPlan, flags: IngestFlags): Promise<Result> {
  const [{ dryRun }, { readChunks }, { writeRejects }] = await Promise.all([
    import('../stages/ingestDryRun.js'),
    import('../stores/files/readChunks.js'),
    import('../stores/files/rejectFile.js'),
  ]);
  const progress = openProgress();
  const { table } = plan.definition;
  const path = flags.rejects ?? `rejects-${table}.ndjson`;
  let result: DryRun = { records: 0, accepted: 0, rejected: 0, reasons: {} };
  const show = (records: number): void => progress.show(`${count(records)} of ${count(plan.records)} records checked`);
  const rejects = dryRun(plan, readChunks, show, (end) => {
    result = end;
  });
  const named = (async function* () {
    for await (const { fileIndex, ...reject } of rejects) yield { ...reject, file: fileName(plan, fileIndex) };
  })();
  const kinds = new RejectKinds();
  const written = await writeRejects(path, kinds.counted(named)).finally(() => progress.end());
  const rejectFile = written === 0 ? null : path;
  return {
    json: { dryRun: true, table, ...result, rejectFile },
    words: withRejectFile(dryRunText(table, result), rejectFile, kinds),
    good: result.rejected <= (flags.maxRejects ?? 0),
  };
}

async function load(
  config: Config,
  mysql: Mysql,
  table: string,
  asked: IngestPlan | NewTable,
  flags: IngestFlags,
  oneOfMany: boolean,
): Promise<Result> {
  const [{ runIngest }, { reportText }] = await Promise.all([import('./ingestRun.js'), import('./ingestText.js')]);
  const detach = (): void => {
    say('\nThe ingest goes on without this command: `lockstep ingests` shows it, `lockstep ingests cancel` ends it.');
    process.exit(1);
  };
  process.once('SIGINT', detach);
  try {
    const report = await runIngest(config, mysql, asked, optionsFrom(flags), openProgress());
    const kinds = new RejectKinds();
    const rejectFile = await keepRejects(config, mysql, report, flags, kinds).catch((error: unknown) => {
      // The load is over, whatever becomes of the file.
      say(reportText(report));
      throw error;
    });
    return {
      json: { ...report, rejectFile },
      words: withRejectFile(reportText(report), rejectFile, kinds),
      good: report.agrees,
    };
  } catch (error) {
    if (!(error instanceof LockstepError) || error.code !== 'LS-INGEST-DONE') throw error;
    const rejectFile = await keepEarlierRejects(config, mysql, { ...error.details, table }, flags);
    // A command for several tables that was broken off is given again as it was.
    if (oneOfMany) return inAlready(table, error, rejectFile);
    throw error;
  } finally {
    process.off('SIGINT', detach);
  }
}

interface Done {
  readonly ingest: string;
  readonly table: string;
}

/** Rejected rows stand in MySQL, with the chunks that they belong to; the file is a copy of them. Null where there are none. */
async function keepRejects(
  config: Config,
  mysql: Mysql,
  { ingest: name, table }: Done,
  flags: IngestFlags,
  kinds: RejectKinds,
): Promise<string | null> {
  const [{ writeRejects }, { readRejects }, { readIngest }] = await Promise.all([
    import('../stores/files/rejectFile.js'),
    import('../stores/mysql/ingestChunks.js'),
    import('../stores/mysql/ingests.js'),
  ]);
  const { stateDatabase } = config.mysql;
  const ingest = await readIngest(mysql, stateDatabase, name);
  if (ingest === null) throw new LockstepError('LS-INGEST-UNKNOWN', `ingest ${name} is gone`);
  const path = rejectPath(flags, { ingest: name, table });
  const named = (async function* () {
    for await (const { file, ...reject } of readRejects(mysql, stateDatabase, ingest.id)) {
      yield { ...reject, file: fileName(ingest.plan, file) };
    }
  })();
  return (await writeRejects(path, kinds.counted(named))) === 0 ? null : path;
}

function rejectPath({ rejects }: IngestFlags, { table, ingest }: Done): string {
  return rejects ?? `rejects-${table}-${ingest}.ndjson`;
}

/** The command that should have written the file may have been killed, or had no room for it. */
async function keepEarlierRejects(
  config: Config,
  mysql: Mysql,
  { ingest, table }: { readonly ingest?: unknown; readonly table: string },
  flags: IngestFlags,
): Promise<string | null> {
  const done = { ingest: String(ingest), table };
  if (flags.rejects === undefined && existsSync(rejectPath(flags, done))) return null;
  const kinds = new RejectKinds();
  const path = await keepRejects(config, mysql, done, flags, kinds);
  if (path !== null) say(withRejectFile(`${table} was loaded before`, path, kinds));
  return path;
}

function withRejectFile(words: string, path: string | null, kinds: RejectKinds): string {
  return path === null ? words : [words, `  rejected rows are in ${path}:`, ...kinds.words()].join('\n');
}

/** As good as it was: a load whose report did not agree is no better for being asked for again. */
function inAlready(table: string, { message, details }: LockstepError, rejectFile: string | null): Result {
  const agrees = details['agrees'] === true;
  const words = `${table}: ${message}${agrees ? '' : '; not all of it was found equal: `lockstep ingests --json` has the report'}`;
  return { json: { table, done: true, agrees, message: words, rejectFile }, words, good: agrees };
}

/** Several tables cannot share one file: each has its name before the ending. */
function rejectsOf(table: string, { rejects }: IngestFlags): Pick<IngestFlags, 'rejects'> {
  if (rejects === undefined) return {};
  const { dir, name, ext } = parse(rejects);
  return { rejects: join(dir, `${name}-${table}${ext}`) };
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}
