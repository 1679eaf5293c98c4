/** Capture is killed and frozen while an application writes: every committed change is in the topics once, in order. */
import { expect, inject, test } from 'vitest';
import { CaptureCrew } from '../support/captureCrew.js';
import { createCaptureRig } from '../support/captureRig.js';
import { createLedger } from '../support/ledger.js';
import { seededRandom } from '../support/random.js';
import { connectSource, readRows, readTables } from '../support/source.js';
import { ledgerViolations, replayViolations, shapeViolations } from '../support/topicChecks.js';
import { readTopics } from '../support/topics.js';
import { runWorkload } from '../support/workload.js';
import { workloadTables } from '../support/workloadTables.js';

const seconds = Number(process.env['LOCKSTEP_SOAK_SECONDS'] ?? 10);
const seed = Number(process.env['LOCKSTEP_SOAK_SEED'] ?? 20_240_517);

test('nothing is lost, doubled or out of order', { timeout: (seconds + 90) * 1_000 }, async () => {
  const stack = inject('stack');
  const rig = await createCaptureRig(
    stack,
    'capturekill',
    workloadTables.map((table) => table.ddl),
    { batchRows: 500 },
  );
  const crew = new CaptureCrew(rig.config);
  try {
    const { database } = rig.config.mysql;
    const source = await connectSource(stack.mysql.uri, database);
    const tables = await readTables(source, database, []);
    await rig.install();
    const ledger = await createLedger(rig.root, database, rig.stateDatabase, tables);
    crew.start();
    const abort = new AbortController();
    const workload = runWorkload({ uri: stack.mysql.uri, database, seed, connections: 8, signal: abort.signal });
    await crew.harass(seededRandom(seed), seconds * 1_000, 4);
    abort.abort();
    const written = await workload;
    await rig.drained(30_000).catch((error: unknown) => {
      throw new Error(`${String(error)} ${JSON.stringify(crew.report)}`);
    });
    await crew.stop();

    const events = await readTopics(stack.kafka.brokers, rig.config.kafka.topicPrefix);
    const entries = await ledger.entries();
    const rows = new Map(await Promise.all(tables.map(async (t) => [t.name, await readRows(source, t)] as const)));
    console.log(
      `${entries.length} changes, ${events.length} records, ${JSON.stringify(crew.report)}, ${JSON.stringify(written)}`,
    );
    expect(entries.length).toBeGreaterThan(1_000);
    expect(crew.report.kills + crew.report.freezes).toBeGreaterThan(3);
    expect(crew.report.buried).toBe(crew.report.freezes);
    expect(shapeViolations(events).slice(0, 10)).toEqual([]);
    expect(ledgerViolations(events, entries).slice(0, 10)).toEqual([]);
    expect(replayViolations(events, tables, rows).slice(0, 10)).toEqual([]);
    await source.end();
  } finally {
    await crew.stop();
    await rig.remove();
  }
});
