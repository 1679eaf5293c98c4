import { describe, expect, test } from 'vitest';
import { demoSizes, generateRows } from '../../demo/generate.js';
import { demoSeed } from '../../demo/load.js';
import { seededRandom } from '../../demo/random.js';
import { isEqual, reportLines } from '../../demo/report.js';
import type { DemoReport } from '../../demo/report.js';
import { warehouseTableNames, warehouseTables } from '../../demo/schema.js';
import { coloursFor } from '../../demo/screen.js';
import { bar, copyLines, sparkline } from '../../demo/view.js';
import { emptyLag } from '../../core/lag.js';

const plain = coloursFor(false);
const sizes = { products: 40, warehouses: 3, customers: 20, orders: 50, movements: 10 };

describe('warehouse rows', () => {
  test('the same seed makes the same rows, another seed others', () => {
    const rows = (seed: number): string => JSON.stringify([...generateRows(sizes, seededRandom(seed))]);
    expect(rows(1)).toBe(rows(1));
    expect(rows(1)).not.toBe(rows(2));
  });

  test('at least 100,000 rows over all seven tables, no key twice', () => {
    const keys = new Set<string>();
    const counts = new Map<string, number>();
    const keyLength = { stock_levels: 2, order_lines: 2 } as Record<string, number>;
    for (const [table, row] of generateRows(demoSizes, seededRandom(demoSeed))) {
      keys.add(`${table} ${row.slice(0, keyLength[table] ?? 1).join(' ')}`);
      counts.set(table, (counts.get(table) ?? 0) + 1);
    }
    const total = [...counts.values()].reduce((a, b) => a + b, 0);
    expect([...counts.keys()].toSorted()).toEqual(warehouseTableNames.toSorted());
    expect(total).toBeGreaterThanOrEqual(100_000);
    expect(keys.size).toBe(total);
  });

  test('each row has a value for each column', () => {
    for (const [table, row] of generateRows(sizes, seededRandom(1))) {
      const columns = warehouseTables[table].split('\n').filter((line) => /^ {4}[a-z_]+ [A-Z]/.test(line));
      expect([table, row.length]).toEqual([table, columns.length]);
    }
  });
});

describe('report', () => {
  const lag = emptyLag();
  lag[10] = 100;
  const good: DemoReport = {
    tables: 7,
    rows: 137_047,
    counted: { mysql: 137_047, mongo: 137_047, redis: 137_047 },
    copy: { rows: 137_047, ms: 9000 },
    live: { transactions: 7000, rolledBack: 280, changes: 30_000, ms: 30_000 },
    lag: { mongo: lag, redis: lag },
    takeOverMs: [1900],
    differences: 0,
    examples: [],
    compareMs: 4000,
    validated: { rows: 137_047, drift: 0, leftOut: [], ms: 3000 },
    workflowUrl: 'http://127.0.0.1:8233/namespaces/default/workflows/lockstep%2Fwarehouse',
  };

  test('says what was proven', () => {
    const text = reportLines(good, plain).join('\n');
    expect(text).toMatch(/are equal/);
    expect(text).toMatch(/changes +30,000 in 30\.0 s.*1,000 changes\/s/);
    expect(text).toMatch(/MongoDB +6 ms +6 ms +6 ms/);
    expect(text).toMatch(/restarts +1 survived.*1\.9 s/);
    expect(text).toMatch(/differences +0/);
    expect(text).toMatch(/validate +0 +137,047 rows compared in full by lockstep validate, in 3\.0 s: it agrees/);
    expect(text).toContain(good.workflowUrl);
  });

  test.each<[string, Partial<DemoReport>]>([
    ['a difference', { differences: 1, examples: ['redis orders {"order_id":1}: missing'] }],
    ['a document too many', { counted: { ...good.counted, mongo: 137_048 } }],
    ['a key too few', { counted: { ...good.counted, redis: 137_046 } }],
    ['a key that drifts', { validated: { ...good.validated, drift: 1 } }],
    ['a row that was not swept', { validated: { ...good.validated, rows: 137_046 } }],
    ['a table that was left out', { validated: { ...good.validated, leftOut: ['orders'] } }],
    ['nothing at all', { counted: { mysql: 0, mongo: 0, redis: 0 } }],
  ])('%s is no success', (_, change) => {
    const bad = { ...good, ...change };
    expect(isEqual(bad)).toBe(false);
    expect(reportLines(bad, plain).join('\n')).toMatch(/NOT equal/);
  });
});

test('the live view draws within its width', () => {
  expect(bar(50, 10, plain)).toBe('█████░░░░░');
  expect(bar(250, 4, plain)).toBe('████');
  expect(sparkline([0, 5, 10], 5)).toBe('  ▁▄█');
  expect(sparkline([], 3)).toBe('   ');
  const copy = { rows: 500, estimated: 1000, percent: 50, rowsPerSecond: 1000, secondsLeft: 0.5 };
  const table = { table: 'orders', stage: 'copying', copy, rowsCopied: 500, parkedKeys: 0 } as const;
  const [line] = copyLines({ tables: [table] } as never, plain);
  expect(line).toMatch(/orders .* 50 % {2}500 rows {2}1,000\/s {2}1 s left/);
});
