/** Chunks of checked rows into MySQL and from there into both stores, against real servers; nothing of Temporal. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareTable, differenceCount } from '../../stages/compare.js';
import { proveIngest } from '../../stages/ingestEnd.js';
import { refuseMissingRights } from '../../stages/ingestRights.js';
import { definitionOf } from '../../stages/ingestTable.js';
import { targetOf } from '../../core/target.js';
import { asCount, type Row } from '../../stores/mysql/cell.js';
import { openMysql, type Queries } from '../../stores/mysql/connection.js';
import { readCounts, readRejects, type StoredReject } from '../../stores/mysql/ingestChunks.js';
import { readIngest } from '../../stores/mysql/ingests.js';
import type { Given } from '../support/ingestFiles.js';
import { createIngestRig, type IngestRig } from '../support/ingestRig.js';
import { until } from '../support/processes.js';

let rig: IngestRig;
beforeAll(async () => {
  rig = await createIngestRig();
});
afterAll(async () => {
  await rig.remove();
});

async function table(columns: string): Promise<string> {
  const name = `t${Math.random().toString(36).slice(2, 10)}`;
  await rig.run(`CREATE TABLE {src}.${name} (${columns})`);
  return name;
}

async function equal(name: string): Promise<void> {
  const definition = await definitionOf(rig.config, rig.mysql)(name);
  const compared = await compareTable(rig, definition, targetOf(name, rig.config));
  expect(compared.differences).toEqual([]);
  expect(differenceCount(compared)).toBe(0);
}

async function counts(name: string) {
  const ingest = await readIngest(rig.mysql, rig.state, name);
  return await readCounts(rig.mysql, rig.state, ingest?.id ?? 0);
}

async function rejects(name: string): Promise<StoredReject[]> {
  const ingest = await readIngest(rig.mysql, rig.state, name);
  const found: StoredReject[] = [];
  for await (const reject of readRejects(rig.mysql, rig.state, ingest?.id ?? 0)) found.push(reject);
  return found;
}

async function rowsOf(name: string): Promise<number> {
  const [row] = await rig.mysql.rows(`SELECT COUNT(*) FROM ${rig.source}.${name}`);
  return asCount(row?.[0]);
}

/** Registers and loads; the outcome, what was counted, and the reasons with their lines. */
async function ingest(name: string, given: Given, options: Parameters<IngestRig['register']>[2] = {}) {
  const { name: id } = await rig.register(name, given, options);
  const outcome = await rig.load(id, given);
  const refused = (await rejects(id)).map(({ line, reason, detail }) => `${line} ${reason} ${detail ?? ''}`.trim());
  return { id, outcome: outcome.kind, ...(await counts(id)), refused };
}

/** As the end of a load does, without the triggers. */
async function release(name: string): Promise<void> {
  await rig.mysql.run(`UPDATE ${rig.state}.ingests SET held = FALSE WHERE table_name = ?`, [name]);
}

const numbered = (count: number, value: (i: number) => Given['rows'][number]): Given['rows'] =>
  Array.from({ length: count }, (_, i) => value(i));

describe('directly', () => {
  it('brings rows with given keys into all three, and says so', async () => {
    const name = await table("id INT PRIMARY KEY, v VARCHAR(20), at DATETIME DEFAULT '2024-01-01 00:00:00'");
    const given: Given = { columns: ['id', 'v'], rows: numbered(1050, (i) => [i * 3, `v${i}`]) };
    expect((await rig.register(name, given)).road).toBe('direct');
    const done = await ingest(name, given);
    expect(done).toMatchObject({ outcome: 'loaded', accepted: 1050, rejected: 0, chunks: 11, landed: 11, altered: 0 });
    expect(await rowsOf(name)).toBe(1050);
    await equal(name);
  });

  it('lets MySQL number rows, also where only some bring their number', async () => {
    const name = await table('id BIGINT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20)');
    expect(await ingest(name, { columns: ['v'], rows: numbered(250, (i) => [`a${i}`]) })).toMatchObject({
      accepted: 250,
    });
    await release(name);
    const mixed: Given = { columns: ['id', 'v'], rows: numbered(90, (i) => [i % 7 < 3 ? 10_000 + i : null, `b${i}`]) };
    expect(await ingest(name, mixed)).toMatchObject({ accepted: 90, altered: 0, landed: 1 });
    expect(await rowsOf(name)).toBe(340);
    await equal(name);
  });

  it('finds rows again under every type of key', async () => {
    const keys: readonly (readonly [string, readonly (string | number | Buffer)[]])[] = [
      ['VARCHAR(40) COLLATE utf8mb4_0900_ai_ci', ["O'Hara", 'back\\slash', 'ünï', 'a:b%c', '', '\u{1f600}']],
      ['CHAR(10)', ['x', 'y z']],
      ['DECIMAL(12,3)', ['1.500', '-0.001', '12345678.900']],
      ['DATETIME(3)', ['2024-02-29 12:00:00.120', '1999-12-31 23:59:59']],
      ['TIMESTAMP', ['2024-06-01 00:00:00', '2024-01-01 01:02:03']],
      ['DATE', ['2024-01-01', '2023-01-01']],
      ['BINARY(4)', [Buffer.from('ab'), Buffer.from([0, 255, 10, 39])]],
      ['VARBINARY(20)', [Buffer.from('ab'), Buffer.from([0, 255, 10, 39])]],
      ['DOUBLE', ['0.1', '-1.5', '3']],
      ['FLOAT', ['0.1', '2.5']],
      ["ENUM('a','b','c')", ['c', 'a']],
      ['BIT(20)', [5, 1_000_000]],
      ['YEAR', ['2024', '1999']],
      ['TIME(1)', ['-12:00:00.5', '838:00:00']],
    ];
    for (const [type, values] of keys) {
      const name = await table(`k ${type} PRIMARY KEY, v INT`);
      const done = await ingest(name, { columns: ['k', 'v'], rows: values.map((value, i) => [value, i]) });
      expect([type, done.accepted, done.landed, done.refused]).toEqual([type, values.length, 1, []]);
      await equal(name);
    }
  });

  it('keeps a composite key and columns in another order than the table', async () => {
    const name = await table('a INT, b VARCHAR(10), v DECIMAL(10,2), PRIMARY KEY (b, a)');
    const rows = numbered(300, (i) => [`${i}.25`, i % 10, `k${Math.floor(i / 10)}`]);
    expect(await ingest(name, { columns: ['v', 'a', 'b'], rows })).toMatchObject({ accepted: 300, rejected: 0 });
    await equal(name);
  });

  it('reads back what MySQL makes of a row: defaults, generated columns, triggers', async () => {
    const name = await table(
      'id INT PRIMARY KEY, v VARCHAR(20), doubled INT AS (id * 2) STORED, d INT NOT NULL DEFAULT 7, w VARCHAR(20)',
    );
    await rig.run(
      `CREATE TRIGGER {src}.${name}_b BEFORE INSERT ON {src}.${name} FOR EACH ROW SET NEW.w = CONCAT('w', NEW.v)`,
    );
    expect(await ingest(name, { columns: ['id', 'v'], rows: numbered(20, (i) => [i, `x${i}`]) })).toMatchObject({
      accepted: 20,
      altered: 0,
    });
    await equal(name);
  });

  it('counts rows that a trigger changed, and refuses by name a key that a trigger moves', async () => {
    const name = await table('id INT PRIMARY KEY, v VARCHAR(20)');
    await rig.run(
      `CREATE TRIGGER {src}.${name}_b BEFORE INSERT ON {src}.${name} FOR EACH ROW SET NEW.v = UPPER(NEW.v)`,
    );
    expect(
      await ingest(name, {
        columns: ['id', 'v'],
        rows: [
          [1, 'a'],
          [2, 'B'],
        ],
      }),
    ).toMatchObject({ altered: 1 });
    await rig.run(
      `DROP TRIGGER {src}.${name}_b`,
      `CREATE TRIGGER {src}.${name}_b BEFORE INSERT ON {src}.${name} FOR EACH ROW SET NEW.id = NEW.id + 1000`,
    );
    const moved: Given = { columns: ['id', 'v'], rows: [[10, 'a']] };
    await release(name);
    await expect(ingest(name, moved)).rejects.toMatchObject({ code: 'LS-INGEST-KEYS' });
    expect(await rowsOf(name)).toBe(2);
  });
});

describe('rows that MySQL refuses', () => {
  it('rejects each with its line and reason, and brings the others in', async () => {
    const parent = await table('id INT PRIMARY KEY');
    await rig.run(`INSERT INTO {src}.${parent} VALUES (1), (2)`);
    const name = await table(
      `id INT PRIMARY KEY, email VARCHAR(30) UNIQUE, parent INT, age INT CHECK (age < 150), FOREIGN KEY (parent) REFERENCES ${rig.source}.${parent} (id)`,
    );
    await rig.run(
      `CREATE TRIGGER {src}.${name}_b BEFORE INSERT ON {src}.${name} FOR EACH ROW
         IF NEW.email = 'no@x' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not this one'; END IF`,
    );
    const rows: Given['rows'] = [
      [1, 'a@x', 1, 20],
      [1, 'b@x', 1, 20],
      [3, 'a@x', 1, 20],
      [4, 'd@x', 9, 20],
      [5, 'e@x', 2, 200],
      [6, 'no@x', 2, 30],
      'type',
      [8, 'h@x', null, null],
    ];
    const done = await ingest(name, { columns: ['id', 'email', 'parent', 'age'], rows });
    expect(done.refused).toEqual([
      '3 duplicate PRIMARY',
      '4 duplicate email',
      expect.stringMatching(/^5 foreign-key /) as string,
      expect.stringMatching(/^6 check /) as string,
      '7 refused not this one',
      '8 type',
    ]);
    expect(done).toMatchObject({ accepted: 2, rejected: 6, landed: 1 });
    await equal(name);
  });

  it('rejects a row that is longer than MySQL takes, and cuts statements for the others', async () => {
    const name = await table('id INT PRIMARY KEY, v LONGTEXT, n INT');
    // As a statement, and as row JSON, in which a control character takes six bytes.
    const long = ['ü'.repeat(40_000), '\u0001'.repeat(11_000)];
    const texts = numbered(40, (i) => [i, i % 10 === 7 ? (long[i % 4 === 3 ? 1 : 0] ?? '') : 'x'.repeat(9_000), i]);
    const given: Given = { columns: ['id', 'v', 'n'], rows: texts, chunkRows: 20 };
    // The server's own limit serves other tests too; above it, MySQL makes NULL of a text.
    const small = 65_536;
    const cut = (found: readonly Row[]): Row[] =>
      found.map((row) => row.map((cell) => (Buffer.isBuffer(cell) && cell.length > small ? null : cell)));
    const session: IngestRig['mysql']['session'] = async (settings) => {
      const own = await rig.mysql.session(settings);
      const limited = (queries: Queries): Queries => ({
        run: (sql, values) => queries.run(sql, values),
        rows: async (sql, values) => cut(await queries.rows(sql, values)),
      });
      return { ...own, transaction: (work) => own.transaction((queries) => work(limited(queries))) };
    };
    const rows: IngestRig['mysql']['rows'] = async (sql, values) => {
      const found = await rig.mysql.rows(sql, values);
      return sql.includes('@@max_allowed_packet') ? found.map(([step]) => [step ?? null, small]) : found;
    };
    for (const mode of ['insert', 'upsert'] as const) {
      const { name: id } = await rig.register(name, given, { mode, again: mode === 'upsert' });
      expect(await rig.load(id, given, { deps: { mysql: { ...rig.mysql, rows, session } } })).toEqual({
        kind: 'loaded',
      });
      const refused = await rejects(id);
      expect(refused.map(({ line, reason }) => [line, reason])).toEqual(
        [9, 19, 29, 39].map((line) => [line, 'too-large']),
      );
      expect(refused.map(({ detail }) => detail)).toEqual(
        [true, false, true, false].map((json) => `${json ? 'as row JSON, ' : ''}max_allowed_packet is ${small} bytes`),
      );
      expect(await rowsOf(name)).toBe(36);
      await rig.run(
        `UPDATE {src}.${name} SET n = 0`,
        `UPDATE ${rig.state}.ingests SET phase = 'loaded' WHERE name = '${id}'`,
      );
      await release(name);
    }
  });

  it('stops after as many rejects as are allowed, and goes on when more are', async () => {
    const name = await table('id INT PRIMARY KEY');
    const given: Given = { columns: ['id'], rows: numbered(50, (i) => (i % 10 === 3 ? 'type' : [i])), chunkRows: 10 };
    const few = await ingest(name, given, { maxRejects: 1 });
    expect(few).toMatchObject({ outcome: 'too-many-rejects', accepted: 18, rejected: 2 });
    expect(await ingest(name, given, { maxRejects: 10 })).toMatchObject({
      outcome: 'loaded',
      accepted: 45,
      rejected: 5,
    });
    await equal(name);
  });
});

it('tells a missing right with its GRANT before anything is read, and rejects no row for one that is taken away', async () => {
  const name = await table('id INT PRIMARY KEY, v INT');
  const user = rig.name.replaceAll('-', '_');
  await rig.run(
    `CREATE USER '${user}'@'%' IDENTIFIED BY 'some-word'`,
    `GRANT SELECT, TRIGGER ON {src}.* TO '${user}'@'%'`,
    `GRANT ALL ON ${rig.state}.* TO '${user}'@'%'`,
  );
  const uri = new URL(rig.config.mysql.uri);
  [uri.username, uri.password] = [user, 'some-word'];
  const mysql = openMysql({ ...rig.config.mysql, uri: uri.href });
  try {
    const asked = refuseMissingRights(mysql, { table: name, mode: 'upsert', makesTable: false });
    const grant = `GRANT INSERT, UPDATE ON \`${rig.source}\`.\`${name}\` TO '${user}'@'%';`;
    await expect(asked).rejects.toMatchObject({
      code: 'LS-MYSQL-PRIVILEGE',
      message: expect.stringContaining(grant) as unknown,
    });
    const given: Given = { columns: ['id', 'v'], rows: numbered(30, (i) => [i, i]), chunkRows: 10 };
    const { name: id } = await rig.register(name, given);
    await expect(rig.load(id, given, { deps: { mysql } })).rejects.toMatchObject({ code: 'LS-MYSQL-PRIVILEGE' });
    expect(await counts(id)).toMatchObject({ accepted: 0, rejected: 0 });
    await rig.run(grant.replace(', UPDATE', ''));
    await refuseMissingRights(mysql, { table: name, mode: 'insert', makesTable: false });
    expect(await rig.load(id, given, { deps: { mysql } })).toEqual({ kind: 'loaded' });
    expect(await counts(id)).toMatchObject({ accepted: 30, landed: 3 });
  } finally {
    await mysql.close();
    await rig.run(`DROP USER '${user}'@'%'`);
  }
});

describe('merging', () => {
  it('upsert leaves absent columns as they are, and touches no other row through a unique key', async () => {
    const name = await table(
      'id INT PRIMARY KEY, email VARCHAR(30) UNIQUE, name VARCHAR(20) NOT NULL, n INT DEFAULT 5',
    );
    await rig.run(`INSERT INTO {src}.${name} VALUES (1,'a@x','A',1),(2,'b@x','B',2),(3,'c@x','C',3)`);
    const rows: Given['rows'] = [
      [1, 'z@x', undefined],
      [2, 'c@x', 'taken'],
      [4, 'a@x', 'new'],
      [3, undefined, 'C3'],
      [4, 'd@x', 'newer'],
    ];
    const done = await ingest(name, { columns: ['id', 'email', 'name'], rows }, { mode: 'upsert' });
    expect(done.refused).toEqual(['3 duplicate email']);
    const found = await rig.mysql.rows(`SELECT id, email, name, n FROM ${rig.source}.${name} ORDER BY id`);
    expect(found).toEqual([
      [1, 'z@x', 'A', 1],
      [2, 'b@x', 'B', 2],
      [3, 'c@x', 'C3', 3],
      [4, 'd@x', 'newer', 5],
    ]);
  });

  it('leaves a row to capture, which parks it, when it holds text that Unicode does not have', async () => {
    const name = await table(
      'id INT PRIMARY KEY, v INT, u VARCHAR(9) CHARACTER SET ucs2, s VARCHAR(9) CHARACTER SET gbk',
    );
    await rig.run(`INSERT INTO {src}.${name} VALUES (1, 1, _ucs2 X'0041D800', NULL), (2, 2, 'whole', _gbk X'A140')`);
    const given: Given = {
      columns: ['id', 'v'],
      rows: [
        [1, 10],
        [2, 20],
        [3, 30],
      ],
    };
    const done = await ingest(name, given, { mode: 'upsert' });
    expect(done).toMatchObject({ outcome: 'loaded', accepted: 3, landed: 1, parked: 2 });
    expect(await rig.mongo.db(rig.name.replaceAll('-', '_')).collection(name).find().toArray()).toEqual([
      { _id: 3, id: 3, v: 30, u: null, s: null },
    ]);
    expect(await rig.redis.keys(`${rig.name}:${name}:*`)).toEqual([`${rig.name}:${name}:3`]);
  });

  it('upsert draws a number for every row that brings none, and takes none of them for another', async () => {
    const name = await table('id INT AUTO_INCREMENT PRIMARY KEY, v INT, u INT UNIQUE');
    await rig.run(`INSERT INTO {src}.${name} VALUES (5, 5, 5)`);
    const rows: Given['rows'] = [
      [null, 10, 1],
      [null, 11, 2],
      [5, 50, 5],
      [null, 12, 5],
      [null, 13, 3],
    ];
    const done = await ingest(name, { columns: ['id', 'v', 'u'], rows }, { mode: 'upsert' });
    expect(done).toMatchObject({ outcome: 'loaded', accepted: 4, refused: ['5 duplicate u'] });
    expect(await rig.mysql.rows(`SELECT v, u FROM ${rig.source}.${name} ORDER BY v`)).toEqual([
      [10, 1],
      [11, 2],
      [13, 3],
      [50, 5],
    ]);
    await equal(name);
  });

  it('a row that is refused is not there for the next one with its key', async () => {
    const name = await table('id INT PRIMARY KEY, u INT UNIQUE');
    await rig.run(`INSERT INTO {src}.${name} VALUES (1, 1)`);
    const rows: Given['rows'] = [
      [2, 1],
      [2, 1],
      [2, 2],
    ];
    const done = await ingest(name, { columns: ['id', 'u'], rows }, { mode: 'upsert' });
    expect(done).toMatchObject({ outcome: 'loaded', accepted: 1, refused: ['2 duplicate u', '3 duplicate u'] });
    expect(await rig.mysql.rows(`SELECT id, u FROM ${rig.source}.${name} ORDER BY id`)).toEqual([
      [1, 1],
      [2, 2],
    ]);
  });

  it('replace sets what is absent to its default, and cascades nothing', async () => {
    const parent = await table("id INT PRIMARY KEY, v VARCHAR(10) DEFAULT 'dflt', n INT");
    const child = await table(
      `id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES ${rig.source}.${parent} (id) ON DELETE CASCADE`,
    );
    await rig.run(`INSERT INTO {src}.${parent} VALUES (1,'x',1),(2,'y',2)`, `INSERT INTO {src}.${child} VALUES (10,1)`);
    const given: Given = {
      columns: ['id', 'n'],
      rows: [
        [1, 11],
        [3, 33],
      ],
    };
    expect(await ingest(parent, given, { mode: 'replace' })).toMatchObject({ accepted: 2, rejected: 0 });
    expect(await rig.mysql.rows(`SELECT id, v, n FROM ${rig.source}.${parent} ORDER BY id`)).toEqual([
      [1, 'dflt', 11],
      [2, 'y', 2],
      [3, 'dflt', 33],
    ]);
    expect(await rowsOf(child)).toBe(1);
  });

  it('takes another spelling of a key for the same row under a case-insensitive collation', async () => {
    const name = await table('k VARCHAR(10) PRIMARY KEY, v INT');
    await rig.run(`INSERT INTO {src}.${name} VALUES ('abc', 1)`);
    const rows: Given['rows'] = [
      ['ABC', 2],
      ['x', 3],
      ['X', 4],
    ];
    expect(await ingest(name, { columns: ['k', 'v'], rows }, { mode: 'upsert' })).toMatchObject({
      accepted: 3,
      rejected: 0,
    });
    expect(await rig.mysql.rows(`SELECT k, v FROM ${rig.source}.${name} ORDER BY v`)).toEqual([
      ['ABC', 2],
      ['X', 4],
    ]);
  });
});

describe('two chunks on their way into MySQL', () => {
  it('keep the order of the file: of a key that comes again the first row stands, wherever the chunks are cut', async () => {
    const name = await table('id INT PRIMARY KEY, v INT');
    // Every tenth row has the key of the one before it, in the chunk before.
    const rows = numbered(200, (i) => [i % 10 === 0 && i > 0 ? i - 1 : i, i]);
    const result = await ingest(name, { columns: ['id', 'v'], rows, chunkRows: 10 });
    expect(result).toMatchObject({ outcome: 'loaded', accepted: 181, rejected: 19, chunks: 20 });
    expect(result.refused).toEqual(
      Array.from(
        { length: 19 },
        (_, i) => expect.stringMatching(new RegExp(`^${(i + 1) * 10 + 2} duplicate`)) as unknown,
      ),
    );
    expect(await rig.mysql.rows(`SELECT COUNT(*) FROM ${rig.source}.${name} WHERE id <> v`)).toEqual([[0]]);
    await equal(name);
  });

  it.concurrent.each(['ROLLBACK', 'COMMIT'])(
    'wait for an application that holds keys of theirs, until its %s',
    async (end) => {
      const name = await table('id INT PRIMARY KEY, v INT');
      const holder = await rig.mysql.session();
      await holder.run('START TRANSACTION');
      await holder.run(`INSERT INTO ${rig.source}.${name} VALUES (25, -1), (31, -1), (32, -1), (49, -1)`);
      const given: Given = { columns: ['id', 'v'], rows: numbered(100, (i) => [i, i]), chunkRows: 10 };
      const loading = ingest(name, given);
      await until('the load waits', async () => (await lockWaits()) > 0);
      // Longer than a statement waits for a lock, so that both begin again.
      await new Promise((resolve) => setTimeout(resolve, 2_500));
      await holder.run(end);
      await holder.close();
      const rejected = end === 'COMMIT' ? 4 : 0;
      expect(await loading).toMatchObject({ outcome: 'loaded', accepted: 100 - rejected, rejected, chunks: 10 });
      expect(await rowsOf(name)).toBe(100);
    },
  );
});

async function lockWaits(): Promise<number> {
  const [row] = await rig.mysql.rows(
    `SELECT COUNT(*) FROM performance_schema.data_locks WHERE OBJECT_SCHEMA = '${rig.source}' AND LOCK_STATUS = 'WAITING'`,
  );
  return asCount(row?.[0]);
}

it('an attempt that wakes up when the load is over takes nothing and writes nothing', async () => {
  const name = await table('id INT PRIMARY KEY');
  const given: Given = { columns: ['id'], rows: numbered(50, (i) => [i]), chunkRows: 10 };
  const { name: id } = await rig.register(name, given);
  await rig.run(`UPDATE ${rig.state}.ingests SET phase = 'finishing', epoch = 7 WHERE name = '${id}'`);
  await expect(rig.load(id, given)).rejects.toMatchObject({ code: 'LS-INGEST-DONE' });
  expect(await rig.mysql.rows(`SELECT epoch FROM ${rig.state}.ingests WHERE name = '${id}'`)).toEqual([[7]]);
  expect(await rowsOf(name)).toBe(0);
});

describe('the same content again', () => {
  it('goes on where it stands, lands what had not landed, and is refused once it is in', async () => {
    const name = await table('id INT PRIMARY KEY, v INT');
    const given: Given = { columns: ['id', 'v'], rows: numbered(100, (i) => [i, i]), chunkRows: 10 };
    const { name: id } = await rig.register(name, given);
    let chunks = 0;
    const stopping = new AbortController();
    const half = rig.deps(given).readChunks;
    const readChunks: typeof half = async function* (plan, from) {
      for await (const chunk of half(plan, from)) {
        if (++chunks > 4) stopping.abort();
        yield chunk;
      }
    };
    expect(await rig.load(id, given, { deps: { readChunks }, signal: stopping.signal })).toEqual({ kind: 'stopped' });
    const before = await counts(id);
    expect(before.accepted).toBeGreaterThan(0);
    expect(before.accepted).toBeLessThan(100);
    // As after a kill between MySQL and the stores.
    const keys = JSON.stringify({ kind: 'texts', texts: ['{"id":0}', '{"id":3}'] });
    await rig.mysql.run(`UPDATE ${rig.state}.ingest_chunks SET landed = FALSE, row_keys = ? WHERE number = 0`, [keys]);
    await rig.mongo
      .db(rig.config.mongo?.database)
      .collection(name)
      .deleteOne({ _id: 3 as never });
    await rig.redis.del(`${rig.name}:${name}:3`);
    const again = await rig.register(name, given);
    expect(again).toMatchObject({ name: id, continued: true, road: 'direct' });
    expect(await rig.load(id, given)).toEqual({ kind: 'loaded' });
    expect(await counts(id)).toMatchObject({ accepted: 100, chunks: 10, landed: 10 });
    expect(await rowsOf(name)).toBe(100);
    await equal(name);
    await rig.run(`UPDATE ${rig.state}.ingests SET phase = 'loaded' WHERE name = '${id}'`);
    await release(name);
    await expect(rig.register(name, given)).rejects.toMatchObject({ code: 'LS-INGEST-DONE' });
    const more = await ingest(name, given, { again: true });
    expect(more).toMatchObject({ accepted: 0, rejected: 100 });
  });

  it('told to end before everything has landed, it does not say that it has', async () => {
    const name = await table('id INT PRIMARY KEY, v INT');
    const given: Given = { columns: ['id', 'v'], rows: numbered(20, (i) => [i, i]), chunkRows: 10 };
    const { id } = await ingest(name, given);
    const keys = JSON.stringify({ kind: 'numbers', column: 'id', from: '10', to: '19' });
    await rig.mysql.run(
      `UPDATE ${rig.state}.ingest_chunks c JOIN ${rig.state}.ingests i ON i.id = c.ingest
          SET c.landed = FALSE, c.row_keys = ? WHERE i.name = ? AND c.number = 1`,
      [keys, id],
    );
    for (const readOn of [true, false]) {
      const stopping = new AbortController();
      const more = { readOn, signal: stopping.signal, progress: () => stopping.abort() };
      expect(await rig.load(id, given, more)).toEqual({ kind: 'stopped' });
    }
    // Nor does a report: what is not known to be there is not counted.
    const hooks = { beat: () => undefined, trouble: () => undefined };
    const report = await proveIngest(rig, id, 'loaded', null, new AbortController().signal, hooks);
    const proof = { equal: 10, changed: 0, parked: 0 };
    expect(report).toMatchObject({ accepted: 20, stores: { mongo: proof, redis: proof }, agrees: false });
    await rig.run(`UPDATE ${rig.state}.ingests SET phase = 'loading' WHERE name = '${id}'`);
    expect(await rig.load(id, given, { readOn: false })).toEqual({ kind: 'loaded' });
    expect(await counts(id)).toMatchObject({ accepted: 20, landed: 2 });
  });

  it('refuses a second direct load of a table, other options, and a file without the key', async () => {
    const name = await table('id INT PRIMARY KEY, v INT');
    const first: Given = { columns: ['id', 'v'], rows: [[1, 1]] };
    await rig.register(name, first);
    await expect(rig.register(name, { columns: ['id', 'v'], rows: [[2, 2]] })).rejects.toMatchObject({
      code: 'LS-INGEST-BUSY',
    });
    await expect(rig.register(name, first, { mode: 'upsert' })).rejects.toMatchObject({ code: 'LS-INGEST-DIFFERENT' });
    await expect(rig.register(name, { columns: ['v'], rows: [[1]] })).rejects.toMatchObject({ code: 'LS-INGEST-KEYS' });
  });

  it('writes nothing any more once another has taken it over', async () => {
    const name = await table('id INT PRIMARY KEY, v INT');
    const given: Given = { columns: ['id', 'v'], rows: numbered(60, (i) => [i, i]), chunkRows: 10 };
    const { name: id } = await rig.register(name, given);
    const chunks = rig.deps(given).readChunks;
    const readChunks: typeof chunks = async function* (plan, from) {
      for await (const chunk of chunks(plan, from)) {
        if (chunk.from.chunk === 3) successor = await rig.load(id, given);
        yield chunk;
      }
    };
    let successor: unknown;
    expect(await rig.load(id, given, { deps: { readChunks } })).toEqual({ kind: 'stopped' });
    expect(successor).toEqual({ kind: 'loaded' });
    expect(await counts(id)).toMatchObject({ accepted: 60, chunks: 6 });
    await equal(name);
  });
});
