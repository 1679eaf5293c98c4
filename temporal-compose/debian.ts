/**
 * Programs out of Debian packages without installing anything: apt resolves and downloads into a private folder, dpkg
 * only unpacks. No root, no chroot, no maintainer script, no service. MySQL 9.7 takes 8 s and 390 MB that way (a
 * bootstrapped chroot: 28 s). The programs run through the C library they came with, whatever this machine's own is.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LockstepError } from '../core/errors.js';
import { type CommandLine, run, runFetch, type RunOptions } from './command.js';
import { removeFolder } from './folder.js';
import type { Shelf } from './server.js';
import { requireTool } from './tool.js';

const keyrings = ['/usr/share/keyrings/debian-archive-keyring.gpg', '/usr/share/keyrings/debian-archive-keyring.pgp'];
const defaultMirror = 'http://deb.debian.org/debian';

/** The first Debian mirror in the text of apt's sources, old style or new. */
export function findMirror(sources: string): string {
  const address = /^(?:URIs:\s*|deb\s+(?:\[[^\]]*\]\s+)?)(\S+\/debian)\/?(?:\s|$)/m.exec(sources);
  return address?.[1] ?? defaultMirror;
}

/** The Debian suite this machine runs ("bookworm"), or undefined for another system. */
export function debianSuite(osRelease: string): string | undefined {
  return /^ID=debian$/m.test(osRelease) ? /^VERSION_CODENAME=(\w+)$/m.exec(osRelease)?.[1] : undefined;
}

async function readSources(): Promise<string> {
  const folder = '/etc/apt/sources.list.d';
  const names = await readdir(folder).catch(() => []);
  const files = ['/etc/apt/sources.list', ...names.map((name) => join(folder, name))];
  return (await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')))).join('\n');
}

export async function machineSuite(): Promise<string | undefined> {
  return debianSuite(await readFile('/etc/os-release', 'utf8').catch(() => ''));
}

async function findKeyring(shelf: Shelf, why: string): Promise<string> {
  const present = (): string | undefined => keyrings.find((file) => existsSync(file));
  const found = present();
  if (found !== undefined) return found;
  const tool = { program: 'debian-archive-keyring', apt: 'debian-archive-keyring', why };
  await requireTool(tool, shelf.progress, shelf.signal).catch((error: unknown) => {
    if (present() === undefined) throw error;
  });
  return present() ?? '';
}

/** Options that give apt its own sources, lists, archive and an empty idea of what is installed. */
export function aptOptions(folder: string, sources: string): readonly string[] {
  const settings = {
    'Dir::Etc::sourcelist': sources,
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State': folder,
    'Dir::State::lists': join(folder, 'lists'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': folder,
    'Dir::Cache::archives': join(folder, 'archives'),
    'Dir::Cache::pkgcache': '',
    'Dir::Cache::srcpkgcache': '',
    // As root, apt would download as a user who cannot write here.
    'APT::Sandbox::User': 'root',
    'APT::Install-Recommends': 'false',
    'Acquire::Check-Valid-Until': 'false',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
    'Debug::NoLocking': 'true',
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

/** Unpacks packages of a suite, with all they depend on, into `draft`. */
export async function unpackDebian(
  shelf: Shelf,
  running: RunOptions,
  draft: string,
  suite: string,
  packages: readonly string[],
  why: string,
): Promise<void> {
  for (const [program, apt] of [
    ['apt-get', 'apt'],
    ['dpkg', 'dpkg'],
  ] as const) {
    await requireTool({ program, apt, why }, shelf.progress, shelf.signal);
  }
  const keyring = await findKeyring(shelf, why);
  const work = join(draft, 'apt');
  const archives = join(work, 'archives');
  await mkdir(join(work, 'lists', 'partial'), { recursive: true });
  await mkdir(join(archives, 'partial'), { recursive: true });
  await writeFile(join(work, 'status'), '');
  const sources = join(work, 'lockstep.sources');
  await writeFile(
    sources,
    `Types: deb\nURIs: ${findMirror(await readSources())}\nSuites: ${suite}\nComponents: main\nSigned-By: ${keyring}\n`,
  );
  const apt: CommandLine = ['apt-get', ...aptOptions(work, sources)];
  await runFetch([...apt, 'update', '-o', 'APT::Update::Error-Mode=any'], running);
  await runFetch([...apt, 'install', '--yes', '--download-only', ...packages], running);
  for (const name of await readdir(archives)) {
    if (name.endsWith('.deb')) await run(['dpkg', '-x', join(archives, name), draft], running);
  }
  await removeFolder(work);
}

/** The folders of an unpacked tree that hold libraries. Up to Debian 12, packages bring some in /lib, not /usr/lib. */
async function libraryFolders(tree: string): Promise<readonly string[]> {
  const folders: string[] = [];
  for (const above of [join(tree, 'usr', 'lib'), join(tree, 'lib')]) {
    const names = await readdir(above).catch(() => []);
    folders.push(...names.filter((name) => name.includes('-linux-gnu')).map((name) => join(above, name)));
  }
  return folders;
}

/** The command that runs a program of an unpacked tree with the tree's own loader and libraries. */
export async function treeCommand(tree: string, program: string): Promise<CommandLine> {
  // The loader splits its library path at these; no way to quote them is known to it.
  if (/[:;$]/.test(tree)) {
    throw new LockstepError('LS-STACK-STATE', `the cache folder's path may hold none of : ; $ (${tree})`);
  }
  const folders = await libraryFolders(tree);
  for (const folder of folders) {
    const loader = (await readdir(folder)).find((file) => /^ld-linux.*\.so\.\d+$/.test(file));
    if (loader !== undefined) {
      return [join(folder, loader), '--library-path', folders.join(':'), join(tree, program)];
    }
  }
  throw new LockstepError('LS-STACK-FETCH', `the packages in ${tree} hold no program loader`);
}
