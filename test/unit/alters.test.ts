/** Which statements of other sessions are taken for an ALTER of a table whose trigger is about to be dropped. */
import { expect, test } from 'vitest';
import { alters } from '../../stores/mysql/triggerInstall.js';

const elsewhere = { database: 'shop', isDefault: false };
const here = { database: 'shop', isDefault: true };

test.each([
  ['ALTER TABLE orders ADD x INT', here],
  ['alter table `ORDERS` add x int', here],
  ['/* by a tool */ -- and\n ALTER TABLE shop.orders ADD x INT', elsewhere],
  ['ALTER TABLE `shop`.`orders` ADD x INT', elsewhere],
  ['OPTIMIZE TABLE lines, orders', here],
  ['RENAME TABLE shop.orders TO shop.old', elsewhere],
  ['CREATE UNIQUE INDEX i ON orders (n)', here],
  ['DROP INDEX i ON orders', here],
])('%s', (statement, where) => {
  expect(alters(statement, 'orders', where)).toBe(true);
});

test('names with anything in them', () => {
  expect(alters('ALTER TABLE `a``b c` ADD x INT', 'a`b c', here)).toBe(true);
  expect(alters('ALTER TABLE `a-1` ADD x INT', 'a-1', here)).toBe(true);
  expect(alters('ALTER TABLE été ADD x INT', 'été', here)).toBe(true);
});

test.each([
  ['ALTER TABLE orders_old ADD x INT', here],
  ['ALTER TABLE reorders ADD x INT', here],
  ['ALTER TABLE éorders ADD x INT', here],
  ['ALTER TABLE shops.orders ADD x INT', elsewhere],
  ['ALTER TABLE orders ADD x INT', elsewhere],
  ['SELECT * FROM orders -- ALTER TABLE orders', here],
  ['DROP TRIGGER orders', here],
  ['', here],
])('but not: %s', (statement, where) => {
  expect(alters(statement, 'orders', where)).toBe(false);
});
