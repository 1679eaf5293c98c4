/**
 * Whose port it is. Two stacks that start at once may have chosen the same port, and the one that lost would talk to the
 * other's server: so nobody talks to a server before it is its own process that listens.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';

/** The inodes of the sockets that listen on a port, out of the text of /proc/net/tcp or tcp6. */
export function listeningInodes(table: string, port: number): readonly string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return table.split('\n').flatMap((line) => {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
    return local?.endsWith(suffix) === true && state === '0A' && inode !== undefined ? [inode] : [];
  });
}

/** Whether this process listens on the port. Undefined where the system does not tell (not Linux, or /proc hidden). */
export async function isListening(pid: number, port: number): Promise<boolean | undefined> {
  if (process.platform !== 'linux') return undefined;
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map((file) => readFile(file, 'utf8').catch(() => '')),
  );
  if (tables.join('') === '') return undefined;
  const sockets = new Set(tables.flatMap((table) => listeningInodes(table, port)).map((inode) => `socket:[${inode}]`));
  if (sockets.size === 0) return false;
  const folder = `/proc/${pid}/fd`;
  const names = await readdir(folder).catch(() => []);
  const links = await Promise.all(names.map((name) => readlink(`${folder}/${name}`).catch(() => '')));
  return links.some((link) => sockets.has(link));
}
