/** Shows the first copy as it goes, until both stores hold it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { waitForAll } from '../cli/waitForAll.js';
import type { Config } from '../core/config.js';
import type { Look } from './look.js';
import type { DemoReport } from './report.js';
import { coloursFor } from './screen.js';
import type { Screen } from './screen.js';
import { copyLines, copyPlain, count } from './view.js';
import type { Workers } from './workers.js';

export async function watchCopy(
  config: Config,
  look: Look,
  screen: Screen,
  workers: Workers,
  signal: AbortSignal,
): Promise<DemoReport['copy'] & { text: string }> {
  const c = coloursFor(screen.fancy);
  let began: number | undefined;
  for (;;) {
    signal.throwIfAborted();
    const died = workers.died();
    if (died !== undefined) throw new Error(died);
    const status = await look.status();
    if (status.tables.some((table) => table.stage !== 'waiting')) began ??= performance.now();
    screen.live(copyLines(status, c), status.tables.length === 0 ? 'installing triggers' : copyPlain(status));
    if (status.stage === 'streaming' && status.tables.length > 0) {
      // The copy is done when the stores hold it, not when it is logged.
      await waitForAll(config, 60_000);
      const rows = status.tables.reduce((sum, table) => sum + table.rowsCopied, 0);
      const ms = performance.now() - (began ?? performance.now());
      return { rows, ms, text: `${count(rows)} rows into both stores, ${count((1000 * rows) / ms)} rows/s` };
    }
    await sleep(200);
  }
}
