/**
 * Which type of MySQL holds every value of a file's field exactly as written. One guess a field sees all its values and keeps
 * only limits, never the values, so a whole file can be looked at. `007` is text: a number would lose its zeros.
 */
import type { Column } from './definition.js';
import { Fault } from './ingestFault.js';
import { datetimeOf, timeOf } from './ingestTimes.js';

export interface GuessedColumn {
  readonly name: string;
  /** As it stands in CREATE TABLE. */
  readonly type: string;
  /** Whether it holds no NULL and no value twice, as far as can be told. */
  readonly unique: boolean;
  /** Texts such as `NA` that alone keep it from another type than text. */
  readonly nullLooks: readonly string[];
}

/** What files write for NULL. */
const nullTexts = new Set([
  'NA',
  'N/A',
  'n/a',
  'NULL',
  'null',
  'Null',
  '\\N',
  'None',
  'none',
  'NaN',
  'nan',
  '-',
  '?',
  '.',
]);

/** How a format writes the value: CSV knows text alone; JSON tells numbers, texts and nested values. */
export type Written = 'any' | 'number' | 'text' | 'truth' | 'nested';

type Candidate = 'integer' | 'decimal' | 'double' | 'truth' | 'date' | 'datetime' | 'time' | 'json';

const candidatesFor: Readonly<Record<Written, readonly Candidate[]>> = {
  any: ['integer', 'decimal', 'double', 'truth', 'date', 'datetime', 'time'],
  number: ['integer', 'decimal', 'double'],
  text: ['date', 'datetime', 'time'],
  truth: ['truth'],
  nested: ['json'],
};

const exactTime: Column = {
  name: '',
  type: 'datetime',
  columnType: 'datetime(6)',
  nullable: true,
  unsigned: false,
  zerofill: false,
  length: null,
  precision: null,
  scale: null,
  fsp: 6,
  charset: null,
  collation: null,
  generated: false,
  invisible: false,
  members: [],
};
const asDatetime = datetimeOf(exactTime, false);
const asTime = timeOf(exactTime, false);

/** Distinct values are remembered up to here; beyond, only a field that rises is known to be unique. */
const rememberedValues = 1_000_000;

export class Guess {
  readonly #name: string;
  #alive: Set<Candidate> | null = null;
  #nulls = false;
  readonly #nullLooks = new Set<string>();
  #min = 0n;
  #max = 0n;
  #wholeDigits = 1;
  #decimals = 0;
  #fraction = 0;
  #characters = 0;
  #bytes = 0;
  #rising = true;
  #last: bigint | null = null;
  #seen: Set<string> | null;

  /** `mayBeKey`: its values are remembered, to tell whether they are unique. */
  constructor(name: string, mayBeKey: boolean) {
    this.#name = name;
    this.#seen = mayBeKey ? new Set() : null;
  }

  seeNull(): void {
    this.#nulls = true;
  }

  see(text: string, written: Written): void {
    const candidates = candidatesFor[written];
    if (written === 'any' && nullTexts.has(text)) {
      this.#nullLooks.add(text);
      this.#measure(text, false);
      return;
    }
    this.#alive ??= new Set(candidates);
    for (const candidate of this.#alive) {
      if (!candidates.includes(candidate) || !this.#fits(candidate, text)) this.#alive.delete(candidate);
    }
    this.#measure(text, true);
  }

  column(): GuessedColumn {
    const unique = !this.#nulls && this.#alive !== null && (this.#rising || this.#seen !== null);
    const stopped = this.#nullLooks.size > 0 && (this.#alive?.size ?? 0) > 0;
    return {
      name: this.#name,
      type: stopped ? this.#textType() : this.#type(),
      unique,
      nullLooks: stopped ? [...this.#nullLooks] : [],
    };
  }

  #fits(candidate: Candidate, text: string): boolean {
    switch (candidate) {
      case 'integer':
        return /^-?(?:0|[1-9]\d{0,19})$/.test(text) && this.#spans(BigInt(text));
      case 'decimal':
        return this.#isDecimal(text);
      case 'double':
        return /^-?(?:0|[1-9]\d*)?(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text) && /\d/.test(text);
      case 'truth':
        return /^(?:true|false)$/i.test(text);
      case 'date':
        return /^\d{4}-\d\d-\d\d$/.test(text) && !(asDatetime(text) instanceof Fault);
      case 'datetime':
        return this.#isDatetime(text);
      case 'time':
        return this.#isTime(text);
      case 'json':
        return true;
    }
  }

  #spans(value: bigint): boolean {
    if (value < this.#min) this.#min = value;
    if (value > this.#max) this.#max = value;
    return this.#min >= -(2n ** 63n) && this.#max < (this.#min < 0n ? 2n ** 63n : 2n ** 64n);
  }

  #isDecimal(text: string): boolean {
    const match = /^-?(0|[1-9]\d*)?(?:\.(\d+))?$/.exec(text);
    if (match === null || (match[1] === undefined && match[2] === undefined)) return false;
    this.#wholeDigits = Math.max(this.#wholeDigits, match[1]?.length ?? 1);
    this.#decimals = Math.max(this.#decimals, match[2]?.length ?? 0);
    // Longer ones are most often doubles, written with all their digits.
    return this.#decimals <= 8 && this.#wholeDigits + this.#decimals <= 30;
  }

  #isDatetime(text: string): boolean {
    if (text.length < 10 || asDatetime(text) instanceof Fault) return false;
    this.#fraction = Math.max(this.#fraction, fractionDigits(text));
    return true;
  }

  #isTime(text: string): boolean {
    if (asTime(text) instanceof Fault) return false;
    this.#fraction = Math.max(this.#fraction, fractionDigits(text));
    return true;
  }

  #measure(text: string, isValue: boolean): void {
    this.#characters = Math.max(this.#characters, text.length);
    if (text.length * 3 > this.#bytes) this.#bytes = Math.max(this.#bytes, Buffer.byteLength(text));
    const value = isValue && this.#alive?.has('integer') === true ? BigInt(text) : null;
    this.#rising &&= value !== null && (this.#last === null || value > this.#last);
    this.#last = value;
    if (this.#seen === null) return;
    if (this.#seen.has(text) || this.#seen.size >= rememberedValues) this.#seen = null;
    else this.#seen.add(text);
  }

  #type(): string {
    if (this.#alive === null) return this.#nullLooks.size > 0 ? this.#textType() : 'VARCHAR(255)';
    const alive = this.#alive;
    if (alive.has('integer')) return this.#integerType();
    if (alive.has('decimal')) return `DECIMAL(${this.#wholeDigits + this.#decimals + 2},${this.#decimals})`;
    if (alive.has('double')) return 'DOUBLE';
    if (alive.has('truth')) return 'BOOLEAN';
    if (alive.has('date')) return 'DATE';
    const digits = this.#fraction === 0 ? '' : `(${this.#fraction})`;
    if (alive.has('datetime')) return `DATETIME${digits}`;
    if (alive.has('time')) return `TIME${digits}`;
    return alive.has('json') ? 'JSON' : this.#textType();
  }

  #integerType(): string {
    const unsigned = this.#max >= 2n ** 63n ? ' UNSIGNED' : '';
    return this.#min >= -(2n ** 31n) && this.#max < 2n ** 31n ? 'INT' : `BIGINT${unsigned}`;
  }

  /** With room for longer ones: the next file is another one. */
  #textType(): string {
    const wanted = this.#characters * 2;
    const length = [32, 64, 128, 255, 512, 1024].find((size) => size >= wanted);
    if (length !== undefined) return `VARCHAR(${length})`;
    if (this.#bytes < 2 ** 16) return 'TEXT';
    return this.#bytes < 2 ** 24 ? 'MEDIUMTEXT' : 'LONGTEXT';
  }
}

function fractionDigits(text: string): number {
  const digits = /[.,](\d+)/.exec(text)?.[1]?.replace(/0+$/, '').length ?? 0;
  return Math.min(6, digits);
}

export interface GuessedKey {
  readonly columns: readonly string[];
  /** A column that is added and that MySQL numbers; null where the file has the key. */
  readonly added: string | null;
}

/** Fields that are called like a key. */
export function keyNames(table: string): readonly string[] {
  return ['id', `${table}_id`, `${table.replace(/s$/, '')}_id`, 'key', 'uuid', 'code'];
}

/** The key that was wished for; else a unique field that is called like one; else a number of its own for each row. */
export function guessKey(table: string, columns: readonly GuessedColumn[], wished: readonly string[]): GuessedKey {
  if (wished.length > 0) return { columns: wished, added: null };
  const fits = (name: string): GuessedColumn | undefined =>
    columns.find((column) => column.name.toLowerCase() === name.toLowerCase() && column.unique && isShort(column));
  const found = keyNames(table)
    .map(fits)
    .find((column) => column !== undefined);
  if (found !== undefined) return { columns: [found.name], added: null };
  const taken = new Set(columns.map(({ name }) => name.toLowerCase()));
  const added = ['id', 'row_id', `${table}_row_id`].find((name) => !taken.has(name.toLowerCase())) ?? 'lockstep_row_id';
  return { columns: [added], added };
}

function isShort({ type }: GuessedColumn): boolean {
  return /^(?:INT|BIGINT|VARCHAR\((?:32|64|128|255)\))/.test(type);
}
