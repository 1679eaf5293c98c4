/** kill -9 of a direct load at each step of a chunk: whoever goes on leaves no row out and brings none twice. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { targetOf } from '../../core/target.js';
import { compareTable } from '../../stages/compare.js';
import { definitionOf } from '../../stages/ingestTable.js';
import { asCount } from '../../stores/mysql/cell.js';
import { readCounts } from '../../stores/mysql/ingestChunks.js';
import { readIngest } from '../../stores/mysql/ingests.js';
import { packageRoot } from '../../temporal-compose/place.js';
import type { Given } from '../support/ingestFiles.js';
import { createIngestRig, type IngestRig } from '../support/ingestRig.js';

const child = join(packageRoot(), 'dist', 'test', 'store', 'ingestChild.js');
let rig: IngestRig;
beforeAll(async () => {
  if (!existsSync(child)) throw new Error('npm run build first');
  rig = await createIngestRig();
});
afterAll(async () => {
  await rig.remove();
});

async function killedAt(step: string, name: string, given: Given): Promise<string | null> {
  const job = JSON.stringify({ config: rig.config, name, given, step });
  const victim = spawn(process.execPath, [child, job], { stdio: ['ignore', 'ignore', 'inherit'] });
  return await new Promise((resolve) => victim.on('exit', (_, signal) => resolve(signal)));
}

test.each([
  'before rows',
  'after rows',
  'before entry',
  'after entry',
  'after commit',
  'before mongo',
  'after mongo',
  'before redis',
  'after redis',
  'before word',
  'after word',
])('%s', async (step) => {
  const table = `t_${step.replace(' ', '_')}`;
  // Without a key in the file, a chunk that went in twice would be rows twice.
  await rig.run(`CREATE TABLE {src}.${table} (id BIGINT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(40) NOT NULL)`);
  const rows = Array.from({ length: 3_000 }, (_, i) => [`row ${i}`]);
  // The word comes behind several chunks, and on a busy machine MySQL is far ahead of it.
  const chunkRows = step.endsWith('word') ? 50 : 250;
  const given: Given = { columns: ['v'], rows, chunkRows };
  const { name } = await rig.register(table, given);
  expect(await killedAt(step, name, given)).toBe('SIGKILL');
  const ingest = await readIngest(rig.mysql, rig.state, name);
  const before = await readCounts(rig.mysql, rig.state, ingest?.id ?? 0);
  expect(before.accepted).toBeLessThan(rows.length);
  expect(await count(`SELECT COUNT(*) FROM ${rig.source}.${table}`)).toBe(before.accepted);

  expect(await rig.load(name, given)).toEqual({ kind: 'loaded' });
  const after = await readCounts(rig.mysql, rig.state, ingest?.id ?? 0);
  expect(after).toMatchObject({
    accepted: rows.length,
    chunks: rows.length / chunkRows,
    landed: rows.length / chunkRows,
    altered: 0,
  });
  expect(await count(`SELECT COUNT(*) FROM ${rig.source}.${table}`)).toBe(rows.length);
  expect(await count(`SELECT COUNT(DISTINCT v) FROM ${rig.source}.${table}`)).toBe(rows.length);
  const definition = await definitionOf(rig.config, rig.mysql)(table);
  const compared = await compareTable(rig, definition, targetOf(table, rig.config));
  expect(compared.stores).toEqual({ mongo: none, redis: none });
});

const none = { missing: 0, extra: 0, different: 0, expired: 0 };

async function count(sql: string): Promise<number> {
  const [row] = await rig.mysql.rows(sql);
  return asCount(row?.[0]);
}
