/**
 * Who a process is. A pid alone is not enough to end anything: pids come again, so a process is its pid and the moment it
 * started. On Linux that moment is field 22 of /proc/<pid>/stat within one boot; elsewhere what `ps` prints.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

export interface Identity {
  readonly pid: number;
  readonly started: string;
}

const runFile = promisify(execFile);

/** Start time out of a line of /proc/<pid>/stat. The second field is the program's name and may hold anything but a last `)`. */
export function startedFromStat(stat: string): string | undefined {
  const fields = stat
    .slice(stat.lastIndexOf(')') + 1)
    .trim()
    .split(/\s+/);
  // A zombie has ended; only its parent has not looked yet. While other threads of it are ending, it has not: they still
  // hold its ports and files.
  const ended = fields[0] === 'Z' && Number(fields[17]) <= 1;
  return ended ? undefined : fields[19];
}

/** The identity of a running process, or undefined when there is none of that pid. */
export async function identify(pid: number): Promise<Identity | undefined> {
  if (process.platform === 'linux') {
    try {
      const [stat, boot] = await Promise.all([
        readFile(`/proc/${pid}/stat`, 'utf8'),
        readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
      ]);
      const ticks = startedFromStat(stat);
      return ticks === undefined ? undefined : { pid, started: `${boot.trim()} ${ticks}` };
    } catch {
      return undefined;
    }
  }
  try {
    const { stdout } = await runFile('ps', ['-o', 'lstart=', '-p', String(pid)]);
    const started = stdout.trim();
    return started === '' ? undefined : { pid, started };
  } catch {
    return undefined;
  }
}

export async function isRunning(identity: Identity): Promise<boolean> {
  return (await identify(identity.pid))?.started === identity.started;
}

/**
 * What a shell writes about itself before it becomes the server (see `launch.ts`): its pid, then the boot id and its stat
 * line, or what `ps` says. Undefined for a text that is not whole.
 */
export function parsePidFile(text: string): Identity | undefined {
  const [pidLine, ...rest] = text.split('\n').filter((line) => line !== '');
  const pid = Number(pidLine);
  const [first, stat] = rest;
  if (!Number.isInteger(pid) || pid <= 0 || first === undefined) return undefined;
  if (stat === undefined) return { pid, started: first.trim() };
  const ticks = startedFromStat(stat);
  return ticks === undefined ? undefined : { pid, started: `${first.trim()} ${ticks}` };
}
