/** `lockstep ingests`: what was and is loaded; pauses, resumes and cancels one. */
import { InvalidArgumentError, type Command } from 'commander';
import type { Config } from '../core/config.js';
import { LockstepError } from '../core/errors.js';
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

const wishes = ['pause', 'resume', 'cancel'] as const;
type Wish = (typeof wishes)[number];

const shownAtMost = 100;

export function addIngests(program: Command): void {
  const command = addCommand(program, {
    name: 'ingests',
    summary: 'Lists bulk loads, the newest first; pauses, resumes or cancels one.',
    examples: [
      'lockstep ingests',
      'lockstep ingests pause orders    # nothing more is read; what is in MySQL lands in the stores, then it rests',
      'lockstep ingests cancel 3fa9c01d22   # what is in stays, and is equal in every store',
    ],
  })
    .argument('[wish]', wishes.join(', '), asWish)
    .argument('[ingest]', 'its name, or its table');
  withJson(withConfig(command)).action(
    async (wish: Wish | undefined, which: string | undefined, options: FileOption & JsonOption) => {
      const config = await configOf(options);
      if (wish === undefined) await list(config, options);
      else if (which === undefined)
        throw new LockstepError('LS-USAGE', `${wish} needs the name of an ingest, or a table`);
      else await carryOut(config, options, wish, which);
    },
  );
}

function asWish(text: string): Wish {
  const wish = wishes.find((one) => one === text);
  if (wish === undefined) throw new InvalidArgumentError(`Allowed: ${wishes.join(', ')}.`);
  return wish;
}

async function readAll(config: Config): Promise<readonly Ingest[]> {
  const [{ openMysql }, { readIngests }] = await Promise.all([
    import('../stores/mysql/connection.js'),
    import('../stores/mysql/ingests.js'),
  ]);
  const mysql = openMysql(config.mysql, { connections: 1 });
  try {
    return await readIngests(mysql, config.mysql.stateDatabase, shownAtMost);
  } finally {
    await mysql.close();
  }
}

async function list(config: Config, options: JsonOption): Promise<void> {
  const found = await readAll(config);
  const result = found.map(({ name, table, phase, road, plan, report, startedAt }) => ({
    ingest: name,
    table,
    phase,
    road,
    records: plan.records,
    accepted: report?.accepted ?? null,
    rejected: report?.rejected ?? null,
    agrees: report?.agrees ?? null,
    startedAt: new Date(startedAt).toISOString(),
  }));
  const lines = result.map(
    ({ ingest, table, phase, road, records, accepted, startedAt }) =>
      `${ingest}  ${table}  ${phase}  ${road}  ${accepted ?? '…'} of ${records} rows  ${startedAt}`,
  );
  printResult(options, { ingests: result }, lines.length === 0 ? 'nothing was loaded yet' : lines.join('\n'));
}

async function carryOut(config: Config, options: JsonOption, wish: Wish, which: string): Promise<void> {
  const { openIngestClient } = await import('../workers/ingestClient.js');
  const underWay = (await readAll(config)).find(
    ({ name, table, phase }) => (name === which || table === which) && (phase === 'loading' || phase === 'finishing'),
  );
  if (underWay === undefined) throw new LockstepError('LS-INGEST-UNKNOWN', `no ingest ${which} is under way`);
  const client = await openIngestClient(config);
  try {
    // One whose workflow was ended by hand is carried on for this alone.
    if (wish === 'cancel' && (await client.state(underWay)).kind !== 'running') await client.start(underWay);
    await client[wish](underWay);
  } finally {
    await client.close();
  }
  const words = { pause: 'is paused', resume: 'goes on', cancel: 'is being cancelled' } as const;
  printResult(
    options,
    { ingest: underWay.name, wish },
    `ingest ${underWay.name} into ${underWay.table} ${words[wish]}`,
  );
}
