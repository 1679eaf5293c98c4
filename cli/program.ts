/** The command line as a whole: which commands there are, and what becomes of their results and failures. */
import { Command } from 'commander';
import { addDoctor } from './doctor.js';
import { addDownCommand, addUpCommand } from './stackCommands.js';
import { exitCodeOf, failureText, type ExitCode } from './failure.js';
import { addIngest } from './ingest.js';
import { addIngests } from './ingests.js';
import { addExplain } from './explain.js';
import { addInit } from './init.js';
import { addPause, addResume } from './pause.js';
import { addResync } from './resync.js';
import { addSchema } from './schema.js';
import { addSchedule } from './schedule.js';
import { addStart } from './start.js';
import { addStatus } from './status.js';
import { addStop } from './stop.js';
import { addUninstall } from './uninstall.js';
import { addValidate } from './validate.js';
import { version } from '../workers/version.js';
import { addWait } from './wait.js';
import { addWorker } from './worker.js';

const about = `Keeps MongoDB and Redis in step with MySQL, and proves it.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 drift found and left.
LOCKSTEP_DEBUG=1 adds stacks to errors.`;

const firstSteps = `
First steps:
  lockstep init --mysql mysql://root@127.0.0.1:3306/shop   # writes lockstep.yaml
  lockstep doctor                                          # is everything in place?
  lockstep worker &                                        # does the work
  lockstep start --wait                                    # returns when every table is copied and streaming
  lockstep status --watch
`;

function buildProgram(): Command {
  const program = new Command('lockstep')
    .description(about)
    .version(version())
    .exitOverride()
    .configureOutput({
      outputError: (text, write) =>
        write(
          `LS-USAGE: ${text.replace(/^error: /, '').trimEnd()}\n  → \`lockstep [command] --help\` shows an example.\n`,
        ),
    })
    .addHelpText('after', firstSteps);
  const commands = [
    addUpCommand,
    addDownCommand,
    addInit,
    addDoctor,
    addWorker,
    addStart,
    addStop,
    addPause,
    addResume,
    addStatus,
    addWait,
    addIngest,
    addIngests,
    addResync,
    addSchema,
    addValidate,
    addExplain,
    addSchedule,
    addUninstall,
  ];
  for (const add of commands) add(program);
  return program;
}

/** Runs one command line; never throws. */
export async function run(args: readonly string[]): Promise<ExitCode> {
  const program = buildProgram();
  try {
    if (args.length === 0) {
      program.outputHelp({ error: true });
      return 2;
    }
    await program.parseAsync(args, { from: 'user' });
    return typeof process.exitCode === 'number' ? asExitCode(process.exitCode) : 0;
  } catch (error) {
    process.stderr.write(failureText(error, process.env['LOCKSTEP_DEBUG'] === '1'));
    return exitCodeOf(error);
  }
}

function asExitCode(code: number): ExitCode {
  return code === 0 || code === 2 || code === 3 ? code : 1;
}
