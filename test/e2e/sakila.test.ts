/** A real database, copied and then lived in: 16 tables, every type that Sakila has, its own triggers and foreign keys. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { compareStores, differencesOf } from '../support/compare.js';
import { createPipeline } from '../support/pipeline.js';
import type { Pipeline } from '../support/pipeline.js';
import { loadSakila, sakilaMissing } from '../support/sakila.js';
import { connectSource, readRows, readTables } from '../support/source.js';
import { chainViolations, replayViolations, shapeViolations } from '../support/topicChecks.js';
import { readTopics } from '../support/topics.js';

const stack = inject('stack');
const missing = sakilaMissing();

describe.skipIf(missing !== undefined)(`Sakila${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  let pipeline: Pipeline;

  beforeAll(async () => {
    pipeline = await createPipeline(stack, {
      label: 'sakila',
      overrides: { film: { redis: { layout: 'hash' } } },
      settings: { kafka: { partitions: 3 }, apply: { shards: 2 } },
    });
    await loadSakila(pipeline.root, pipeline.database);
    pipeline.worker();
    await pipeline.run('start', '--wait');
  });
  afterAll(async () => await pipeline.remove());

  test('all 16 base tables are copied', async () => {
    await pipeline.run('wait', '--timeout', '60s');
    const compared = await compareStores(pipeline.targets());
    expect(differencesOf(compared)).toEqual([]);
    expect(compared.map((c) => c.table)).toHaveLength(16);
    expect(compared.find((c) => c.table === 'payment')?.rows).toBe(16_049);
    expect(compared.find((c) => c.table === 'film_text')?.rows).toBe(1000);
  });

  test('changes of every table arrive, those of its own triggers too', async () => {
    const { root } = pipeline;
    await root.query(`USE \`${pipeline.database}\``);
    await root.beginTransaction();
    await root.query(
      "UPDATE film SET title = CONCAT(title, ' 2'), special_features = 'Trailers,Commentaries' WHERE film_id < 200",
    );
    await root.query('UPDATE customer SET active = 1 - active, email = NULL WHERE customer_id % 7 = 0');
    await root.query('UPDATE payment SET amount = amount + 0.05 WHERE payment_id % 3 = 0');
    await root.query("UPDATE address SET location = ST_GeomFromText('POINT(13.4 52.5)') WHERE address_id < 50");
    await root.query('DELETE FROM film_actor WHERE film_id > 900');
    await root.query("INSERT INTO actor (first_name, last_name) VALUES ('ZOË', 'ÅNGSTRÖM'), ('\\u0001\"', '漢字')");
    await root.query('UPDATE staff SET picture = NULL WHERE staff_id = 1');
    await root.query('DELETE p FROM payment p JOIN rental r USING (rental_id) WHERE r.rental_id BETWEEN 100 AND 300');
    await root.query('DELETE FROM rental WHERE rental_id BETWEEN 100 AND 300');
    await root.commit();
    await root.beginTransaction();
    await root.query('DELETE FROM payment');
    await root.rollback();
    await root.query("INSERT INTO film (title, language_id) VALUES ('fresh', 1), ('gone', 1)");
    await root.query("DELETE FROM film WHERE title = 'gone'");
    await root.query("REPLACE INTO category (category_id, name) VALUES (1, 'Action!'), (200, 'New')");
    await root.query(
      "INSERT INTO language (language_id, name) VALUES (1, 'Esperanto') AS f ON DUPLICATE KEY UPDATE name = f.name",
    );
    await pipeline.run('wait', '--timeout', '60s');
    expect(differencesOf(await compareStores(pipeline.targets()))).toEqual([]);
  });

  test('the topics hold every image, before and after', async () => {
    await pipeline.run('stop');
    const events = await readTopics(stack.kafka.brokers, pipeline.name);
    expect(shapeViolations(events).slice(0, 10)).toEqual([]);
    expect(chainViolations(events).slice(0, 10)).toEqual([]);
    const source = await connectSource(stack.mysql.uri, pipeline.database);
    try {
      const tables = await readTables(source, pipeline.database);
      const rows = new Map<string, Awaited<ReturnType<typeof readRows>>>();
      for (const table of tables) rows.set(table.name, await readRows(source, table));
      expect(replayViolations(events, tables, rows).slice(0, 10)).toEqual([]);
    } finally {
      await source.end();
    }
    const updates = events.filter((e) => e.op === 'u' && e.topic.endsWith('.film'));
    expect(updates).toHaveLength(199);
    expect(
      updates.every((e) => String(e.envelope?.after?.['title']) === `${String(e.envelope?.before?.['title'])} 2`),
    ).toBe(true);
    expect(events.filter((e) => e.op === 'u' && e.topic.endsWith('.film_text'))).toHaveLength(199);
  });
});
