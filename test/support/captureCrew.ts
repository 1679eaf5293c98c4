/**
 * Capture under fire: one process at work; every so often it is killed, or frozen until its successor works, and then
 * woken as a zombie. Whoever ends by itself is replaced at once.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../../core/config.js';
import { packageRoot } from '../../temporal-compose/place.js';
import type { Random } from './random.js';

const program = join(
  process.env['LOCKSTEP_TEST_DIST'] ?? join(packageRoot(), 'dist'),
  'test/support/captureProcess.js',
);

export interface CrewReport {
  kills: number;
  freezes: number;
  /** Zombies that ended by themselves after they were woken. */
  buried: number;
  /** Last words of processes that were not killed. */
  readonly words: string[];
}

export class CaptureCrew {
  readonly report: CrewReport = { kills: 0, freezes: 0, buried: 0, words: [] };
  readonly #file: string;
  readonly #all = new Set<ChildProcess>();
  #current: ChildProcess | null = null;
  #stopping = false;

  constructor(config: Config) {
    this.#file = join(tmpdir(), `${config.pipeline}.capture.json`);
    writeFileSync(this.#file, JSON.stringify(config), { mode: 0o600 });
  }

  start(): void {
    const child = spawn(process.execPath, [program, this.#file], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#all.add(child);
    this.#current = child;
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.once('close', () => {
      this.#all.delete(child);
      if (child.signalCode !== 'SIGKILL') this.report.words.push(said.trim());
      if (child === this.#current && !this.#stopping) setTimeout(() => this.start(), 50);
    });
  }

  /** Kills the one at work with SIGKILL. */
  kill(): void {
    this.report.kills += 1;
    this.#current?.kill('SIGKILL');
  }

  /** The one at work hangs, a successor begins; later the zombie wakes and must end by itself. */
  async freeze(forMs: number): Promise<void> {
    const zombie = this.#current;
    if (zombie === null) return;
    this.report.freezes += 1;
    zombie.kill('SIGSTOP');
    this.start();
    await pause(forMs);
    zombie.kill('SIGCONT');
    const deadline = Date.now() + 15_000;
    while (zombie.exitCode === null && zombie.signalCode === null && Date.now() < deadline) await pause(20);
    if (zombie.exitCode !== null) this.report.buried += 1;
    else zombie.kill('SIGKILL');
  }

  /** For so long, and on a slow machine longer: until there were so many kills and freezes. */
  async harass(random: Random, forMs: number, atLeast: number): Promise<void> {
    const end = Date.now() + forMs;
    while (Date.now() < end || this.report.kills + this.report.freezes < atLeast) {
      await pause(300 + random.below(1_200));
      if (random.chance(0.7)) this.kill();
      else await this.freeze(500 + random.below(1_500));
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    for (const child of this.#all) child.kill('SIGTERM');
    const deadline = Date.now() + 5_000;
    while (this.#all.size > 0 && Date.now() < deadline) await pause(20);
    for (const child of this.#all) child.kill('SIGKILL');
  }
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
