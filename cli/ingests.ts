/** `lockstep ingests`: which ingests there are and how they stand; pauses, resumes and cancels one by its name or its table. */
import { InvalidArgumentError, type Command } from 'commander';
import type { Config } from '../core/config.js';
import { LockstepError } from '../core/errors.js';
import type { IngestProgress } from '../core/ingestReport.js';
import type { Mysql } from '../stores/mysql/connection.js';
import type { Ingest } from '../stores/mysql/ingests.js';
import {
  addCommand,
  configOf,
  printResult,
  withConfig,
  withJson,
  type FileOption,
  type JsonOption,
} from './command.js';
import { progressLine, thousands } from './ingestText.js';

const wishes = ['pause', 'resume', 'cancel'] as const;
type Wish = (typeof wishes)[number];
type Flags = FileOption & JsonOption;

const done: Readonly<Record<Wish, string>> = {
  pause: 'is paused; its table streams on, if it streams',
  resume: 'goes on',
  cancel: 'is being cancelled: what is in MySQL is brought into every store',
};

export function addIngests(program: Command): void {
  const command = addCommand(program, {
    name: 'ingests',
    summary: 'Lists ingests, or pauses, resumes or cancels one.',
    examples: ['lockstep ingests', 'lockstep ingests pause flights', 'lockstep ingests cancel 3f9c2a1b7d'],
  })
    .argument('[what]', 'pause, resume or cancel', asWish)
    .argument('[which]', 'name of the ingest, or its table');
  withJson(withConfig(command)).action(async (wish: Wish | undefined, which: string | undefined, flags: Flags) => {
    if (wish !== undefined && which === undefined)
      throw new LockstepError('LS-USAGE', `${wish} which ingest, or which table?`);
    const config = await configOf(flags);
    await withMysql(config, async (mysql) => {
      if (wish === undefined || which === undefined) await list(config, mysql, flags);
      else await steer(config, mysql, wish, which, flags);
    });
  });
}

function asWish(text: string): Wish {
  const found = wishes.find((wish) => wish === text);
  if (found === undefined) throw new InvalidArgumentError(`Allowed: ${wishes.join(', ')}.`);
  return found;
}

async function list(config: Config, mysql: Mysql, flags: Flags): Promise<void> {
  const [{ readIngests }, { readProgress }] = await Promise.all([
    import('../stores/mysql/ingests.js'),
    import('../stores/mysql/ingestChunks.js'),
  ]);
  const { stateDatabase } = config.mysql;
  const ingests = await readIngests(mysql, stateDatabase, 100);
  const entries: Entry[] = [];
  for (const ingest of ingests) {
    entries.push({
      ingest,
      progress: ingest.report === null ? await readProgress(mysql, stateDatabase, ingest.id) : null,
    });
  }
  const json = entries.map(({ ingest: { name, table, phase, road, report, startedAt }, progress }) => ({
    ingest: name,
    table,
    phase,
    road,
    startedAt: new Date(startedAt).toISOString(),
    progress,
    report,
  }));
  const words = entries.length === 0 ? 'there are no ingests' : entries.map(line).join('\n');
  printResult(flags, { ingests: json }, words);
}

interface Entry {
  readonly ingest: Ingest;
  readonly progress: IngestProgress | null;
}

function line({ ingest: { name, table, phase, report, startedAt }, progress }: Entry): string {
  const how =
    report !== null
      ? `${thousands(report.accepted)} accepted, ${thousands(report.rejected)} rejected${report.agrees ? '' : ', NOT all agree'}`
      : progress === null
        ? 'has not begun'
        : progressLine(progress, 0);
  return `${name}  ${new Date(startedAt).toISOString().slice(0, 19)}Z  ${table}  ${phase}: ${how}`;
}

async function steer(config: Config, mysql: Mysql, wish: Wish, which: string, flags: Flags): Promise<void> {
  const [{ readIngests }, { openIngestClient }] = await Promise.all([
    import('../stores/mysql/ingests.js'),
    import('../workers/ingestClient.js'),
  ]);
  const ingests = await readIngests(mysql, config.mysql.stateDatabase, 1_000);
  const found =
    ingests.find(({ name }) => name === which) ??
    ingests.find(({ table, report }) => table === which && report === null);
  if (found === undefined) throw new LockstepError('LS-INGEST-UNKNOWN', `there is no ingest ${which} under way`);
  const client = await openIngestClient(config);
  try {
    const { name, table } = found;
    await client[wish]({ name, table });
    printResult(flags, { ingest: name, table, [wish]: true }, `ingest ${name} into ${table} ${done[wish]}`);
  } finally {
    await client.close();
  }
}

async function withMysql<T>(config: Config, work: (mysql: Mysql) => Promise<T>): Promise<T> {
  const { openMysql } = await import('../stores/mysql/connection.js');
  const mysql = openMysql(config.mysql, { connections: 2 });
  try {
    return await work(mysql);
  } finally {
    await mysql.close();
  }
}
