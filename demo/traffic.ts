/**
 * Live traffic of a shop: orders placed, paid, shipped and cancelled, prices and stock changed, products renamed (a key
 * change), deliveries booked, now and then a transaction rolled back. Eight connections, a steady number of transactions a
 * second, each connection one after the other.
 */
import { createConnection } from 'mysql2/promise';
import type { Connection, ResultSetHeader } from 'mysql2/promise';
import { price, skuOf } from './generate.js';
import type { Sizes } from './generate.js';
import { seededRandom } from './random.js';
import type { Random } from './random.js';

export interface TrafficOptions {
  readonly uri: string;
  readonly database: string;
  readonly sizes: Sizes;
  readonly seed: number;
  readonly transactionsPerSecond: number;
  readonly signal: AbortSignal;
}

/** Counts so far; read while it runs. `rows` are rows that committed transactions changed, as MySQL counts them. */
export interface TrafficCounts {
  committed: number;
  rolledBack: number;
  rows: number;
  /** Transactions that met another on the same rows and were repeated, as an application does. */
  retried: number;
}

export interface Traffic {
  readonly counts: Readonly<TrafficCounts>;
  /** Settles when the signal ended it; rejects when a statement failed in a way no application should see. */
  readonly done: Promise<void>;
}

const connections = 8;
/** Deadlock and lock wait among our own connections, and a generated name that is taken. */
const ownErrors = new Set([1213, 1205, 1062]);

export function startTraffic(options: TrafficOptions): Traffic {
  const counts: TrafficCounts = { committed: 0, rolledBack: 0, rows: 0, retried: 0 };
  const workers = Array.from({ length: connections }, async (_, index) => await runConnection(options, index, counts));
  return { counts, done: Promise.all(workers).then(() => undefined) };
}

async function runConnection(options: TrafficOptions, index: number, counts: TrafficCounts): Promise<void> {
  const { uri, database } = options;
  const connection = await createConnection({ uri, database, charset: 'utf8mb4', timezone: 'Z' });
  const random = seededRandom(options.seed + index * 7919);
  const everyMs = (1000 * connections) / options.transactionsPerSecond;
  let next = performance.now() + random.next() * everyMs;
  try {
    while (!options.signal.aborted) {
      await sleep(next - performance.now());
      // A late connection does not catch up with a burst for more than a second's worth.
      next = Math.max(next + everyMs, performance.now() - 1000);
      await runTransaction(connection, random, options.sizes, counts);
    }
  } finally {
    await connection.end();
  }
}

async function runTransaction(
  connection: Connection,
  random: Random,
  sizes: Sizes,
  counts: TrafficCounts,
): Promise<void> {
  const story = pickStory(random);
  const rollback = random.chance(0.04);
  try {
    await connection.beginTransaction();
    const rows = await story(change(connection), random, sizes);
    if (rollback) {
      await connection.rollback();
      counts.rolledBack += 1;
      return;
    }
    await connection.commit();
    counts.committed += 1;
    counts.rows += rows;
  } catch (error) {
    await connection.rollback();
    if (!ownErrors.has((error as { errno?: number }).errno ?? 0)) throw error;
    counts.retried += 1;
  }
}

type Change = (sql: string, values: readonly unknown[]) => Promise<ResultSetHeader>;
/** The number of rows it changed. */
type Story = (run: Change, random: Random, sizes: Sizes) => Promise<number>;

function change(connection: Connection): Change {
  return async (sql, values) => (await connection.query<ResultSetHeader>(sql, [...values]))[0];
}

function pickStory(random: Random): Story {
  const roll = random.next();
  if (roll < 0.4) return placeOrder;
  if (roll < 0.62) return moveOrderOn;
  if (roll < 0.78) return receiveGoods;
  if (roll < 0.88) return changePrice;
  if (roll < 0.94) return editCustomer;
  if (roll < 0.98) return cancelOrder;
  return renameProduct;
}

const placeOrder: Story = async (run, random, sizes) => {
  const warehouse = 1 + random.below(sizes.warehouses);
  const skus = [...new Set(Array.from({ length: 1 + random.below(4) }, () => anySku(random, sizes)))].toSorted();
  const order = await run(
    `INSERT INTO orders (customer_id, warehouse_id, status, total, placed_at) VALUES (?, ?, 'placed', ?, NOW(6))`,
    [1 + random.below(sizes.customers), warehouse, price(random, 2000)],
  );
  const lines = skus.map((sku, i) => [order.insertId, i + 1, sku, 1 + random.below(5), price(random, 300), null]);
  await run('INSERT INTO order_lines VALUES ?', [lines]);
  let rows = 1 + lines.length;
  for (const sku of skus) {
    const stock = await run(
      'UPDATE stock_levels SET quantity = quantity - 1, reserved = reserved + 1 WHERE warehouse_id = ? AND sku = ?',
      [warehouse, sku],
    );
    rows += stock.affectedRows;
  }
  return rows;
};

const moveOrderOn: Story = async (run, random, sizes) => {
  const order = 1 + random.below(sizes.orders);
  const delivery = JSON.stringify({ carrier: 'PostNL', parcels: 1 + random.below(3), track: random.below(1e9) });
  const { affectedRows } = await run(
    `UPDATE orders SET status = ELT(FIELD(status, 'placed', 'paid', 'shipped', 'delivered', 'returned') MOD 5 + 1,
       'placed', 'paid', 'shipped', 'delivered', 'returned'), shipped_at = NOW(6), delivery = ? WHERE order_id = ?`,
    [delivery, order],
  );
  return affectedRows;
};

const receiveGoods: Story = async (run, random, sizes) => {
  const [warehouse, sku, delta] = [1 + random.below(sizes.warehouses), anySku(random, sizes), 1 + random.below(50)];
  const stock = await run(
    `INSERT INTO stock_levels (warehouse_id, sku, quantity, counted_at) VALUES (?, ?, ?, NOW(6)) AS fresh
     ON DUPLICATE KEY UPDATE quantity = stock_levels.quantity + fresh.quantity, counted_at = fresh.counted_at`,
    [warehouse, sku, delta],
  );
  const movement = await run(
    `INSERT INTO stock_movements (warehouse_id, sku, reason, delta, moved_at) VALUES (?, ?, 'received', ?, NOW(6))`,
    [warehouse, sku, delta],
  );
  return Math.min(stock.affectedRows, 1) + movement.affectedRows;
};

const changePrice: Story = async (run, random) => {
  const category = random.pick(['tools', 'fasteners', 'paint', 'garden', 'lighting', 'safety']);
  const { affectedRows } = await run(
    'UPDATE products SET price = ROUND(price * ?, 2) + 0.01 WHERE category = ? AND sku >= ? ORDER BY sku LIMIT 5',
    [0.9 + random.next() / 5, category, skuOf(random.below(5000))],
  );
  return affectedRows;
};

const editCustomer: Story = async (run, random, sizes) => {
  const { affectedRows } = await run(
    `UPDATE customers SET tier = ?, credit = credit + 1.25, preferences = JSON_SET(COALESCE(preferences, '{}'), '$.seen', ?)
      WHERE customer_id = ?`,
    [random.pick(['basic', 'silver', 'gold']), random.below(1e6), 1 + random.below(sizes.customers)],
  );
  return affectedRows;
};

const cancelOrder: Story = async (run, random, sizes) => {
  const order = 1 + random.below(sizes.orders);
  const lines = await run('DELETE FROM order_lines WHERE order_id = ?', [order]);
  const orders = await run('DELETE FROM orders WHERE order_id = ?', [order]);
  return lines.affectedRows + orders.affectedRows;
};

/** Upper to lower case and back: the same key for MySQL's collation, another key as bytes. */
const renameProduct: Story = async (run, random, sizes) => {
  const { affectedRows } = await run(
    `UPDATE products SET sku = IF(BINARY sku = BINARY UPPER(sku), LOWER(sku), UPPER(sku)) WHERE sku = ?`,
    [anySku(random, sizes)],
  );
  return affectedRows;
};

/** One in five meets the same forty products: hot keys. */
function anySku(random: Random, sizes: Sizes): string {
  return skuOf(random.below(random.chance(0.2) ? 40 : sizes.products));
}

async function sleep(ms: number): Promise<void> {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
}
