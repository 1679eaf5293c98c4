/** Rows of the warehouse, made from a seed. Pure: the same sizes and seed give the same rows. */
import type { Random } from './random.js';
import type { WarehouseTable } from './schema.js';

export interface Sizes {
  readonly products: number;
  readonly warehouses: number;
  readonly customers: number;
  readonly orders: number;
  readonly movements: number;
}

/** About 137,000 rows with those that follow from them: stock levels (5 a product) and order lines (1 to 4 an order). */
export const demoSizes: Sizes = {
  products: 5_000,
  warehouses: 12,
  customers: 12_000,
  orders: 24_000,
  movements: 11_000,
};

export type Row = readonly (string | number | Buffer | null)[];

const cities = [
  ['Rotterdam', 'NL', 4.47, 51.92],
  ['Göteborg', 'SE', 11.97, 57.7],
  ['Kraków', 'PL', 19.94, 50.06],
  ['A Coruña', 'ES', -8.41, 43.36],
  ['Zürich', 'CH', 8.54, 47.37],
  ['Αθήνα', 'GR', 23.73, 37.98],
  ['Győr', 'HU', 17.63, 47.68],
  ['東京', 'JP', 139.69, 35.68],
  ['São Paulo', 'BR', -46.63, -23.55],
  ['Reykjavík', 'IS', -21.94, 64.14],
  ['Dún Laoghaire', 'IE', -6.13, 53.29],
  ['Brno', 'CZ', 16.6, 49.19],
] as const;
const first = [
  'Ada',
  'Björn',
  'Chloé',
  'Dmitri',
  'Esi',
  'Fatima',
  'Grace',
  'Hiro',
  'Inès',
  'Jürgen',
  'Kenji',
  'Łucja',
] as const;
const last = [
  'Lovelace',
  'Ångström',
  'Noether',
  "O'Neill",
  'Hopper',
  'Ramanujan',
  'Curie',
  'Euler',
  'Sørensen',
  'Nuñez',
] as const;
const nouns = [
  'drill',
  'hammer',
  'screw',
  'lamp',
  'hose',
  'helmet',
  'brush',
  'ladder',
  'wrench',
  'saw',
  'plug',
  'rake',
] as const;
const sorts = ['steel', 'brass', 'oak', 'LED', 'cordless', 'compact', 'heavy', 'folding', 'safety', 'outdoor'] as const;

export function skuOf(index: number): string {
  return `${['TL', 'FX', 'PT', 'GD', 'LG', 'SF'][index % 6]}-${String(index).padStart(5, '0')}`;
}

/** Every row, table by table; `stock_levels` and `order_lines` follow from products and orders. */
export function* generateRows(sizes: Sizes, random: Random): Generator<readonly [WarehouseTable, Row]> {
  for (let i = 0; i < sizes.warehouses; i++) yield ['warehouses', warehouseRow(i)];
  for (let i = 0; i < sizes.products; i++) {
    yield ['products', productRow(i, random)];
    for (let w = 0; w < 5; w++) yield ['stock_levels', stockRow(1 + ((i + w) % sizes.warehouses), skuOf(i), random)];
  }
  for (let i = 1; i <= sizes.customers; i++) yield ['customers', customerRow(i, random)];
  for (let i = 1; i <= sizes.orders; i++) {
    yield ['orders', orderRow(i, sizes, random)];
    const lines = 1 + random.below(4);
    for (let line = 1; line <= lines; line++) yield ['order_lines', lineRow(i, line, sizes, random)];
  }
  for (let i = 1; i <= sizes.movements; i++) yield ['stock_movements', movementRow(i, sizes, random)];
}

function warehouseRow(index: number): Row {
  const [city, country, longitude, latitude] = cities[index % cities.length] ?? cities[0];
  const point = Buffer.alloc(25);
  point.writeUInt8(1, 4);
  point.writeUInt32LE(1, 5);
  point.writeDoubleLE(longitude, 9);
  point.writeDoubleLE(latitude, 17);
  return [index + 1, city, country, point, `0${6 + (index % 3)}:30:00`, 1960 + index * 5];
}

function productRow(index: number, random: Random): Row {
  const colours = ['red', 'blue', 'black', 'natural'] as const;
  return [
    skuOf(index),
    `${random.pick(sorts)} ${random.pick(nouns)} ${index}`,
    random.pick(['tools', 'fasteners', 'paint', 'garden', 'lighting', 'safety']),
    random.pick(['', 'new', 'sale', 'fragile,eco', 'new,heavy']),
    price(random, 300),
    random.next() * 40,
    JSON.stringify({
      colour: random.pick(colours),
      sizeMm: [random.below(900), random.below(900)],
      warranty: { years: random.below(6), registered: random.chance(0.5) },
      supplierRef: 9_007_199_254 + random.below(1_000_000),
    }),
    `4${String(random.below(1_000_000_000)).padStart(9, '0')}${String(index).padStart(3, '0')}`,
    random.chance(0.95) ? 1 : 0,
    `20${10 + random.below(15)}-0${1 + random.below(9)}-${10 + random.below(18)}`,
    `2024-0${1 + random.below(9)}-${10 + random.below(18)} 08:${10 + random.below(50)}:00.${100 + random.below(900)}`,
  ];
}

export function stockRow(warehouse: number, sku: string, random: Random): Row {
  const bin = random.chance(0.9) ? `${random.pick(['A', 'B', 'C', 'D'])}${random.below(40)}:${random.below(9)}` : null;
  return [warehouse, sku, random.below(500), random.below(20), bin, random.chance(0.6) ? moment(random) : null];
}

function customerRow(id: number, random: Random): Row {
  const name = `${random.pick(first)} ${random.pick(last)}`;
  const [city] = cities[random.below(cities.length)] ?? cities[0];
  const preferences = { newsletter: random.chance(0.4), channels: ['mail', 'sms'].slice(random.below(2)) };
  return [
    id,
    `customer${id}@example.org`,
    name,
    city,
    random.pick(['basic', 'basic', 'silver', 'gold']),
    price(random, 5000),
    random.chance(0.8) ? JSON.stringify(preferences) : null,
    random.chance(0.2) ? `Leave at the back door.\nAsk for "${name}".` : null,
    moment(random).slice(0, 19),
  ];
}

function orderRow(id: number, sizes: Sizes, random: Random): Row {
  const shipped = random.chance(0.7);
  return [
    id,
    1 + random.below(sizes.customers),
    1 + random.below(sizes.warehouses),
    shipped ? random.pick(['shipped', 'delivered', 'returned']) : random.pick(['placed', 'paid']),
    price(random, 2000),
    moment(random),
    shipped ? moment(random) : null,
    shipped ? JSON.stringify({ carrier: random.pick(['DHL', 'PostNL', 'UPS']), parcels: 1 + random.below(3) }) : null,
  ];
}

function lineRow(order: number, line: number, sizes: Sizes, random: Random): Row {
  const discount = random.chance(0.3) ? Math.fround(random.next() / 4) : null;
  return [order, line, skuOf(random.below(sizes.products)), 1 + random.below(9), price(random, 300), discount];
}

function movementRow(id: number, sizes: Sizes, random: Random): Row {
  const reference = Buffer.alloc(8);
  reference.writeUInt32BE(random.below(0xffffffff), 4);
  return [
    id,
    1 + random.below(sizes.warehouses),
    skuOf(random.below(sizes.products)),
    random.pick(['received', 'picked', 'moved', 'counted', 'lost']),
    random.below(200) - 100,
    random.chance(0.7) ? reference : null,
    moment(random),
  ];
}

export function price(random: Random, limit: number): string {
  return `${random.below(limit)}.${String(random.below(100)).padStart(2, '0')}`;
}

function moment(random: Random): string {
  const two = (n: number): string => String(n).padStart(2, '0');
  const day = `2024-${two(1 + random.below(12))}-${two(1 + random.below(28))}`;
  const time = `${two(random.below(24))}:${two(random.below(60))}:${two(random.below(60))}`;
  return `${day} ${time}.${String(random.below(1_000_000)).padStart(6, '0')}`;
}
