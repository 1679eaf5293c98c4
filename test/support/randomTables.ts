/** Tables at random: types, keys, collations, generated and invisible columns, and names with all that MySQL allows in them. */
import type { FormSettings } from '../../core/forms.js';
import type { Random } from './random.js';
import { randomKeyType, randomType, type RandomType } from './randomValues.js';

export interface RandomColumn {
  readonly name: string;
  readonly type: RandomType;
  readonly nullable: boolean;
}

export interface RandomTable {
  readonly name: string;
  readonly ddl: string;
  /** Columns that statements may write. */
  readonly columns: readonly RandomColumn[];
  readonly key: readonly RandomColumn[];
  /** A few literals a key column, so that statements meet. */
  readonly keyValues: ReadonlyMap<string, readonly string[]>;
  readonly layout: 'json' | 'hash';
  /** By column name. */
  readonly forms: Readonly<Record<string, FormSettings>>;
}

const namePieces = ['a', 'Z', '0', '_', '$', '.', ' ', '"', "'", '\\', '%', ':', '-', '{', '#', '/', '[', ';', '--'];
/** Not in one name: MySQL cannot store every trigger that names both, which has a test of its own. */
const morePieces = [['`'], ['ü', 'ж', '表']] as const;

export function quote(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

/** Other character sets than UTF-8 may write to a table whose names are plain. */
export function isPlain(table: RandomTable): boolean {
  return /^\w+$/.test([table.name, ...table.columns.map(({ name }) => name)].join(''));
}

export function randomTable(random: Random, index: number): RandomTable {
  const plain = random.chance(0.6);
  const names = new Set<string>();
  const nameOf = (start: string): string => {
    for (;;) {
      const name = plain ? start : randomName(random, start);
      // MySQL takes column names without regard to case.
      if (names.has(name.toLowerCase())) return nameOf(`${start}x`);
      names.add(name.toLowerCase());
      return name;
    }
  };
  const key = Array.from({ length: random.pick([1, 1, 1, 2, 2, 3]) }, (_, i) => {
    return { name: nameOf(`k${i}`), type: randomKeyType(random), nullable: false };
  });
  const values = Array.from({ length: 1 + random.below(8) }, (_, i) => {
    return { name: nameOf(`c${i}`), type: randomType(random), nullable: random.chance(0.8) };
  });
  const columns = [...key, ...values].toSorted(() => random.next() - 0.5);
  const generated = generatedColumns(random, columns, nameOf);
  const keyParts = key.map(({ name, type }) => (type.inKey === 'prefix' ? `${quote(name)}(4)` : quote(name)));
  const parts = [
    ...columns.map(({ name, type, nullable }) => {
      const hidden = random.chance(0.1) && columns.length > 2 && !key.some((k) => k.name === name);
      return `${quote(name)} ${type.ddl} ${nullable ? 'NULL' : 'NOT NULL'}${hidden ? ' INVISIBLE' : ''}`;
    }),
    ...generated,
    `PRIMARY KEY (${keyParts.join(', ')})`,
    ...uniqueIndex(random, values),
  ];
  const name = `${plain ? 't' : randomName(random, 't').slice(0, 55)}${index}`;
  return {
    name,
    ddl: `(${parts.join(', ')})`,
    columns,
    key,
    keyValues: new Map(key.map((k) => [k.name, Array.from({ length: 7 }, () => k.type.literal(random))])),
    layout: random.pick(['json', 'hash']),
    forms: Object.fromEntries(
      columns.flatMap(({ name: of, type }) => {
        // A key keeps its own form under the two settings that could make two keys one.
        const fits = type.form !== undefined && (type.form.int64 !== undefined || !key.some((k) => k.name === of));
        return fits && random.chance(0.4) ? [[of, type.form as FormSettings]] : [];
      }),
    ),
  };
}

function randomName(random: Random, start: string): string {
  const length = random.chance(0.1) ? 64 : 1 + random.below(12);
  const pieces = [...namePieces, ...random.pick(morePieces)];
  let name = start;
  while (name.length < length) name += random.pick(pieces);
  // A name may not end in a blank.
  return name.slice(0, 64).replace(/ +$/, 'e');
}

function generatedColumns(
  random: Random,
  columns: readonly RandomColumn[],
  nameOf: (start: string) => string,
): string[] {
  // No backslash in the expression: in a session with NO_BACKSLASH_ESCAPES MySQL computes another value than in others.
  const source = columns.find(({ type }) => /^(?:VARCHAR|BIGINT|INT|DECIMAL|DATE\b)/.test(type.ddl));
  if (source === undefined || random.chance(0.5)) return [];
  const stored = random.pick(['VIRTUAL', 'STORED', 'VIRTUAL INVISIBLE']);
  return [`${quote(nameOf('g'))} VARCHAR(200) AS (CONCAT(${quote(source.name)}, '!')) ${stored}`];
}

/** A second way for REPLACE and ON DUPLICATE KEY to meet a row, under another key. */
function uniqueIndex(random: Random, values: readonly RandomColumn[]): string[] {
  const column = values.find(({ type }) => type.inKey === 'whole');
  return column !== undefined && random.chance(0.25) ? [`UNIQUE KEY (${quote(column.name)})`] : [];
}
