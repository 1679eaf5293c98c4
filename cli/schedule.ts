/** `lockstep schedule`: the sweeps that run by themselves, as the configuration names them. */
import type { Command } from 'commander';
import type { Config } from '../core/config.js';
import { LockstepError } from '../core/errors.js';
import { nearest } from '../core/suggest.js';
import type { ScheduleView, Schedules } from '../workers/schedules.js';
import {
  addCommand,
  configOf,
  printResult,
  withConfig,
  withJson,
  type FileOption,
  type JsonOption,
} from './command.js';
import { notEmpty } from './pause.js';
import { columns } from './statusText.js';

const actions = ['show', 'apply', 'pause', 'resume', 'trigger', 'remove'] as const;
type Action = (typeof actions)[number];

export function addSchedule(program: Command): void {
  const command = addCommand(program, {
    name: 'schedule',
    summary: 'Shows, applies, pauses, resumes, triggers or removes the scheduled sweeps.',
    examples: [
      'lockstep schedule apply            # creates or updates those of the configuration',
      'lockstep schedule',
      'lockstep schedule trigger nightly',
      'lockstep schedule remove           # all of them',
    ],
  })
    .argument('[action]', actions.join(', '), 'show')
    .argument('[name]', 'one schedule', notEmpty);
  withJson(withConfig(command)).action(
    async (action: string, name: string | undefined, options: FileOption & JsonOption) => {
      const wanted = actions.find((one) => one === action);
      if (wanted === undefined) throw unknownAction(action);
      const config = await configOf(options);
      const { openSchedules } = await import('../workers/schedules.js');
      const schedules = await openSchedules(config);
      try {
        const { result, words } = await run(schedules, config, wanted, name);
        printResult(options, result, words);
      } finally {
        await schedules.close();
      }
    },
  );
}

function unknownAction(action: string): LockstepError {
  const meant = nearest(action, actions);
  const hint = meant === undefined ? '' : ` (did you mean ${meant}?)`;
  return new LockstepError('LS-USAGE', `schedule ${action} is unknown${hint}; allowed: ${actions.join(', ')}`);
}

interface Done {
  readonly result: unknown;
  readonly words: string;
}

async function run(schedules: Schedules, config: Config, action: Action, name: string | undefined): Promise<Done> {
  switch (action) {
    case 'show': {
      const views = await schedules.list();
      return { result: { schedules: views }, words: viewText(config, views) };
    }
    case 'apply': {
      const done = await schedules.apply();
      const parts = Object.entries(done).flatMap(([what, names]) =>
        names.length === 0 ? [] : [`${what}: ${names.join(', ')}`],
      );
      return { result: done, words: parts.length === 0 ? 'the configuration has no schedules' : parts.join('\n') };
    }
    case 'remove': {
      const removed = await schedules.remove(name ?? null);
      return {
        result: { removed },
        words: removed.length === 0 ? 'there were none' : `removed: ${removed.join(', ')}`,
      };
    }
    case 'pause':
    case 'resume':
    case 'trigger': {
      const one = name ?? onlyName(config);
      await schedules[action](one);
      return { result: { [action]: one }, words: `${one}: ${doneText[action]}` };
    }
  }
}

const doneText = { pause: 'paused', resume: 'resumed', trigger: 'begun, unless it runs already' } as const;

function onlyName({ validate: { schedules } }: Config): string {
  const [only, ...more] = Object.keys(schedules);
  if (only !== undefined && more.length === 0) return only;
  throw new LockstepError('LS-USAGE', `which schedule? allowed: ${Object.keys(schedules).join(', ')}`);
}

function viewText(config: Config, views: readonly ScheduleView[]): string {
  const missing = Object.keys(config.validate.schedules).filter((name) => !views.some((view) => view.name === name));
  const rows = views.map((view) => [
    view.name,
    view.when,
    view.paused ? 'paused' : view.running > 0 ? 'running' : 'waits',
    view.repair ? 'repairs' : 'looks only',
    view.next ?? '–',
    view.last ?? '–',
    view.configured ? '' : 'not in the configuration',
  ]);
  return [
    ...(rows.length === 0 ? [] : [columns(['schedule', 'when', 'state', 'does', 'next', 'last', ''], rows, 7)]),
    ...(missing.length === 0 ? [] : [`not there yet: ${missing.join(', ')}; \`lockstep schedule apply\` creates them`]),
    ...(rows.length + missing.length === 0 ? ['no schedules'] : []),
  ].join('\n');
}
