/**
 * Programs that fetching needs: found in PATH, else installed where that is possible without asking (root on a machine
 * with apt), else named in an error together with the other ways out. Nothing here starts a system service.
 */
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { LockstepError } from '../core/errors.js';
import { run } from './command.js';
import type { Progress } from './progress.js';

export interface Tool {
  readonly program: string;
  /** The Debian package that brings it. */
  readonly apt: string;
  /** What it is needed for, and how to do without: the end of the error message. */
  readonly why: string;
}

/** Folders that hold servers but are often not in a user's PATH. */
const moreFolders = ['/usr/local/bin', '/usr/local/sbin', '/usr/sbin', '/usr/local/mysql/bin', '/usr/local/go/bin'];

/** The full path of a program, or undefined. */
export function findProgram(name: string, path: string = process.env['PATH'] ?? ''): string | undefined {
  for (const folder of [...path.split(delimiter), ...moreFolders]) {
    if (folder === '') continue;
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      if (statSync(file).isFile()) return file;
    } catch {
      // Not in this folder: the next one.
    }
  }
  return undefined;
}

let installing: Promise<unknown> = Promise.resolve();

async function installWithApt(tool: Tool, progress: Progress, signal: AbortSignal): Promise<void> {
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const install = async (): Promise<unknown> =>
    await run(['apt-get', '-o', 'DPkg::Lock::Timeout=120', 'install', '-y', '--no-install-recommends', tool.apt], {
      env,
      signal,
      failure: 'LS-STACK-TOOL',
    });
  await progress.during('tools', `installing ${tool.apt} (for ${tool.program})`, async () => {
    try {
      await install();
    } catch {
      // A fresh machine has no package lists yet.
      await run(['apt-get', '-o', 'DPkg::Lock::Timeout=120', 'update'], { env, signal, failure: 'LS-STACK-TOOL' });
      await install();
    }
  });
}

/** The full path of a tool, installed first if need be. */
export async function requireTool(
  tool: Tool,
  progress: Progress,
  signal: AbortSignal,
  works: (program: string) => Promise<unknown> = () => Promise.resolve(true),
): Promise<string> {
  const usable = async (): Promise<string | undefined> => {
    const found = findProgram(tool.program);
    // A program that cannot even say its version (a stub, a broken link) is as good as none.
    return found !== undefined && (await works(found).catch(() => false)) ? found : undefined;
  };
  const present = await usable();
  if (present !== undefined) return present;
  if (process.getuid?.() === 0 && findProgram('apt-get') !== undefined) {
    // dpkg has one lock: one installation at a time.
    const turn = installing.then(async () => await installWithApt(tool, progress, signal));
    installing = turn.catch(() => undefined);
    await turn;
    const installed = await usable();
    if (installed !== undefined) return installed;
  }
  throw new LockstepError(
    'LS-STACK-TOOL',
    `${tool.program} is missing or too old (Debian and Ubuntu: apt install ${tool.apt}). ${tool.why}`,
  );
}
