/** What the kernel says about a process: CPU time and memory, from /proc. Linux only, as the rest of the bench. */
import { readdir, readFile, readlink } from 'node:fs/promises';

/** Kernel ticks are 10 ms everywhere that Node runs (`getconf CLK_TCK` = 100). */
const microsecondsPerTick = 10_000;

/** User and system time of the process so far, in microseconds; its threads included. */
export async function cpuMicroseconds(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The name in parentheses may hold spaces.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * microsecondsPerTick;
}

export interface Memory {
  readonly nowMb: number;
  /** The highest so far. */
  readonly peakMb: number;
}

export async function memoryOf(pid: number): Promise<Memory> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  const kb = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return { nowMb: kb('VmRSS') / 1024, peakMb: kb('VmHWM') / 1024 };
}

/** Processes that listen on these ports; a port whose process cannot be seen (a container's) is left out. */
export async function listenersOf(ports: ReadonlyMap<string, number>): Promise<Map<string, number>> {
  const inodes = new Map<string, string>();
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    const lines = (await readFile(file, 'utf8')).trim().split('\n').slice(1);
    for (const line of lines) {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
      const port = Number.parseInt(local.split(':')[1] ?? '', 16);
      const name = [...ports].find(([, wanted]) => wanted === port)?.[0];
      if (state === '0A' && name !== undefined) inodes.set(`socket:[${inode}]`, name);
    }
  }
  const found = new Map<string, number>();
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const open = await readdir(`/proc/${pid}/fd`).catch(() => []);
    for (const fd of open) {
      const name = inodes.get(await readlink(`/proc/${pid}/fd/${fd}`).catch(() => ''));
      if (name !== undefined) found.set(name, Number(pid));
    }
  }
  return found;
}

/** CPU time of named processes between two moments. */
export interface CpuMeter {
  /** Microseconds by name since the meter began. */
  read(): Promise<Map<string, number>>;
}

export async function startCpuMeter(pids: ReadonlyMap<string, number>): Promise<CpuMeter> {
  const before = await readAll(pids);
  return {
    async read() {
      const after = await readAll(pids);
      return new Map([...after].map(([name, value]) => [name, value - (before.get(name) ?? 0)]));
    },
  };
}

async function readAll(pids: ReadonlyMap<string, number>): Promise<Map<string, number>> {
  return new Map(await Promise.all([...pids].map(async ([name, pid]) => [name, await cpuMicroseconds(pid)] as const)));
}
