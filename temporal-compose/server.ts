/**
 * What the stack needs to know of a server, whichever of the five it is. The files in servers/ are the answers.
 */
import type { CommandLine, RunOptions } from './command.js';
import type { Launch } from './launch.js';
import type { Progress } from './progress.js';
import type { Secrets } from './secrets.js';
import type { PortName, Ports, ServerName } from './server-name.js';
import type { Version, VersionRange } from './version.js';

/** A server program that can be run on this machine. */
export interface Program {
  /** What to run; a server's own arguments come after it. */
  readonly command: CommandLine;
  readonly version: Version;
  /** "PATH" or the folder of the cache it came from. */
  readonly origin: string;
}

/** Where fetched things go and how to report about it. */
export interface Shelf {
  readonly cache: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** One server of one stack. */
export interface Site {
  readonly folder: string;
  readonly log: string;
  readonly ports: Ports;
  readonly secrets: Secrets;
}

export interface Server {
  readonly name: ServerName;
  /** The ports it listens on. */
  readonly ports: readonly PortName[];
  readonly supported: VersionRange;
  /** How long a stop may take before it is killed. */
  readonly stopGraceMs: number;
  /** A program on this machine, of whatever version, or undefined. */
  find(): Promise<Program | undefined>;
  /** Downloads or builds the program once. */
  fetch(shelf: Shelf): Promise<Program>;
  /**
   * Fills a new data folder; afterwards it is at `data` inside the site's folder. Absent: the server does it itself.
   * @param running what to give to every program it runs.
   */
  initialise?(program: Program, site: Site, draft: string, running: RunOptions): Promise<void>;
  launch(program: Program, site: Site): Launch;
  /**
   * One attempt to talk to it, as its administrator, and to complete what only a running server can be told (replica set,
   * users, search attributes). Throws while it does not answer as it should. Safe to repeat.
   * @returns the version that the running server reports, when its protocol tells.
   */
  prepare(site: Site): Promise<Version | undefined>;
}
