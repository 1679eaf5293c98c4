/** A large table is copied while an application writes to it, and the worker that copies is killed on the way. */
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { PipelineStatus } from '../../core/status.js';
import { compareStores, differencesOf } from '../support/compare.js';
import { createPipeline } from '../support/pipeline.js';
import type { Pipeline } from '../support/pipeline.js';
import { until } from '../support/processes.js';
import { seededRandom, testSeed } from '../support/random.js';
import { chainViolations, shapeViolations } from '../support/topicChecks.js';
import { readTopics } from '../support/topics.js';

const stack = inject('stack');
const seed = testSeed();
const rows = 60_000;
let pipeline: Pipeline;

beforeAll(async () => {
  console.log(`seed ${seed}`);
  pipeline = await createPipeline(stack, { label: 'copy' });
  await pipeline.root.query(
    'CREATE TABLE big (region VARCHAR(10), id INT, amount DECIMAL(12,2), note VARCHAR(200), PRIMARY KEY (region, id), KEY id (id))',
  );
  await pipeline.root.query('SET SESSION cte_max_recursion_depth = 1000000');
  await pipeline.root.query(
    `INSERT INTO big WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
     SELECT ELT(1 + i % 4, 'north', 'South', 'east:', 'w%st'), i, i / 7, REPEAT('x', i % 200) FROM n`,
  );
});

afterAll(async () => await pipeline.remove());

test('copy under writes with kill -9 in the middle: equal, nothing out of order', { timeout: 240_000 }, async () => {
  pipeline.worker();
  await pipeline.run('start');
  const stop = new AbortController();
  const writing = writeAcross(stop.signal);
  const before = await killInTheMiddle().finally(() => stop.abort());
  const written = await writing;
  await pipeline.run('wait', '--timeout', '60s');
  console.log(`killed after ${before} of ${rows} rows, ${written} statements meanwhile`);
  expect(before).toBeLessThan(rows);
  expect(written).toBeGreaterThan(20);
  const compared = await compareStores(pipeline.targets());
  expect(differencesOf(compared)).toEqual([]);
  expect(compared[0]?.rows).toBeGreaterThan(rows * 0.9);

  const shown = JSON.parse((await pipeline.run('status', '--json')).stdout) as PipelineStatus;
  expect(shown.tables[0]?.stage).toBe('streaming');
  await pipeline.run('stop');
  const events = await readTopics(stack.kafka.brokers, pipeline.name);
  expect(shapeViolations(events).slice(0, 10)).toEqual([]);
  expect(chainViolations(events).slice(0, 10)).toEqual([]);
});

/** Rows that were copied before the kill. Returns when another worker has finished the copy. */
async function killInTheMiddle(): Promise<number> {
  await until('the copy is under way', async () => (await copied()) > rows / 10, {
    timeoutMs: 90_000,
    everyMs: 20,
  });
  const before = await copied();
  await pipeline.workers[0]?.kill();
  pipeline.worker();
  await pipeline.run('start', '--wait');
  return before;
}

const notInstalledYet = ['ER_BAD_DB_ERROR', 'ER_NO_SUCH_TABLE'];

async function copied(): Promise<number> {
  try {
    const [found] = await pipeline.root.query(
      `SELECT COALESCE(SUM(rows_copied), 0) n FROM ${pipeline.stateDatabase}.copies`,
    );
    return Number((found as { n: unknown }[])[0]?.n);
  } catch (error) {
    if (notInstalledYet.includes(String((error as { code?: unknown }).code))) return 0;
    throw error;
  }
}

/** Statements of every kind all over the table; how many there were. */
async function writeAcross(signal: AbortSignal): Promise<number> {
  const random = seededRandom(seed);
  let statements = 0;
  while (!signal.aborted) {
    const id = 1 + random.below(rows);
    const statement = random.pick([
      ['UPDATE big SET amount = amount + 1 WHERE id BETWEEN ? AND ? + 20', [id, id]],
      ['DELETE FROM big WHERE id = ?', [id]],
      ["REPLACE INTO big VALUES ('north', ?, 1, 'replaced')", [id]],
      ["UPDATE IGNORE big SET region = 'moved' WHERE id = ?", [id]],
      ["INSERT INTO big VALUES ('late', ?, 5, NULL) ON DUPLICATE KEY UPDATE amount = 6", [id]],
    ] as const);
    await pipeline.root.query(statement[0], [...statement[1]]);
    statements += 1;
    // An application, not a flood: one that outruns capture for good holds a copy up for as long as it lasts.
    await setTimeout(5);
  }
  return statements;
}
