/**
 * A CSV as people make them, and what must become of each record: quotes, line ends within quotes, tokens for NULL, emoji,
 * times with zones, and here and there a record that cannot be loaded. Nothing of the product had a part in the answers.
 */
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { RejectReason } from '../../core/ingest.js';

export interface PeopleFile {
  readonly bytes: Buffer;
  readonly records: number;
  /** What the columns of the file hold, by `n`: each as MySQL prints it, null for NULL. */
  readonly rows: ReadonlyMap<number, readonly (string | null)[]>;
  readonly rejects: readonly { readonly line: number; readonly reason: RejectReason; readonly raw: string }[];
}

export const peopleTable = (name: string): string =>
  `CREATE TABLE ${name} (id BIGINT PRIMARY KEY AUTO_INCREMENT, n INT NOT NULL, name VARCHAR(60) NOT NULL,
     email VARCHAR(60) NULL UNIQUE, age INT NULL CHECK (age < 150), balance DECIMAL(12,2) NULL, born DATE NULL,
     seen DATETIME(3) NULL, note TEXT NULL, touched INT NOT NULL DEFAULT 0, twice BIGINT AS (n * 2) STORED)`;

const header = ['n', 'name', 'email', 'age', 'balance', 'born', 'seen', 'note'];
const badEvery = 997;
const hours = (from: number): string => String(from).padStart(2, '0');

/** `tag` makes another file of the same shape. */
export function peopleFile(records: number, tag = 'a'): PeopleFile {
  const rows = new Map<number, readonly (string | null)[]>();
  const rejects: { line: number; reason: RejectReason; raw: string }[] = [];
  const parts: Buffer[] = [Buffer.from(`${header.join(',')}\n`)];
  let line = 2;
  for (let n = 0; n < records; n++) {
    const row = goodRow(n, tag);
    const bad = n % badEvery === 5 ? spoilt(row, Math.floor(n / badEvery), tag) : null;
    const record = bad?.record ?? Buffer.from(row.fields.join(','));
    if (bad === null) rows.set(n, row.stored);
    else rejects.push({ line, reason: bad.reason, raw: bad.raw ?? record.toString() });
    parts.push(record, Buffer.from('\n'));
    line += record.toString('latin1').split('\n').length;
  }
  return { bytes: Buffer.concat(parts), records, rows, rejects };
}

interface Row {
  readonly fields: readonly string[];
  readonly stored: readonly (string | null)[];
}

/** `NA` is NULL; `"NA"` is text. Each field as the file writes it and as MySQL must hold it. */
function goodRow(n: number, tag: string): Row {
  const name = `O'Hara "the ${n}th", ${tag} \u{1f9ed}`;
  const email = n % 3 === 0 ? `${tag}${n}@example.org` : null;
  const age = n % 13 === 0 ? null : String(n % 120);
  const balance = n % 17 === 0 ? null : `${n % 2 === 0 ? '' : '-'}${n}.${hours(n % 100)}`;
  const [day, hour] = [hours(1 + (n % 28)), hours(n % 24)];
  const born = n % 19 === 0 ? null : `19${hours(n % 100)}-02-${day}`;
  const zone = n % 2 === 0 ? 'Z' : '+00:00';
  const note = n % 11 === 0 ? 'NA' : n % 7 === 0 ? null : noteOf(n);
  return {
    fields: [
      String(n),
      quoted(name),
      email ?? 'NA',
      age ?? 'NA',
      balance ?? 'NA',
      born ?? 'NA',
      `2024-05-${day}T${hour}:59:01.250${zone}`,
      note === null ? 'NA' : quoted(note),
    ],
    stored: [String(n), name, email, age, balance, born, `2024-05-${day} ${hour}:59:01.250`, note],
  };
}

function noteOf(n: number): string {
  return n % 5 === 0
    ? `first line\n\n  "third" line \\n of ${n},\r\nend `
    : `a note of ${n % 50} words: ${'zwölf '.repeat(n % 12)}`;
}

const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;

interface Spoilt {
  readonly record: Buffer;
  readonly reason: RejectReason;
  readonly raw?: string;
}

function spoilt({ fields }: Row, kind: number, tag: string): Spoilt {
  const withField = (name: string, text: string): Buffer =>
    Buffer.from(fields.map((field, i) => (header[i] === name ? text : field)).join(','));
  const kinds: readonly (() => Spoilt)[] = [
    () => ({ record: Buffer.from([...fields, 'one more'].join(',')), reason: 'column-count' }),
    () => ({ record: withField('age', 'abc'), reason: 'type' }),
    () => ({ record: withField('age', '99999999999'), reason: 'range' }),
    () => ({ record: withField('n', 'NA'), reason: 'null' }),
    () => ({ record: withField('name', 'x'.repeat(61)), reason: 'length' }),
    () => ({ record: withField('balance', '1.234'), reason: 'precision' }),
    () => ({ record: withField('name', '"a"b'), reason: 'quote' }),
    () => ({
      record: Buffer.from([...Buffer.from('7,'), 0xff, ...Buffer.from(',NA,1,1.00,2000-01-01,NA,NA')]),
      reason: 'encoding',
      raw: '7,\\xff,NA,1,1.00,2000-01-01,NA,NA',
    }),
    () => ({ record: withField('email', `${tag}0@example.org`), reason: 'duplicate' }),
    () => ({ record: withField('age', '150'), reason: 'check' }),
  ];
  const make = kinds[kind % kinds.length];
  if (make === undefined) throw new Error('no such kind');
  return make();
}

/** What a table holds of the file's columns, by `n`; a row that is there twice is an error. */
export async function readPeople(connection: Connection, table: string): Promise<Map<number, (string | null)[]>> {
  const [found] = await connection.query<RowDataPacket[][]>({
    sql: `SELECT CAST(n AS CHAR), name, email, CAST(age AS CHAR), CAST(balance AS CHAR), CAST(born AS CHAR), CAST(seen AS CHAR), note
            FROM ${table} WHERE n >= 0`,
    rowsAsArray: true,
  });
  const rows = new Map<number, (string | null)[]>();
  for (const row of found as unknown as (string | null)[][]) {
    const n = Number(row[0]);
    if (rows.has(n)) throw new Error(`${table} holds ${n} twice`);
    rows.set(n, row);
  }
  return rows;
}
