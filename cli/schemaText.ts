/** A schema as people read it: what is captured, what the stores expect, what changed, what disagrees. */
import type { Disagreement } from '../core/tableForm.js';
import type { Algorithm } from '../stores/mysql/scratch.js';
import type { SchemaCheck } from '../stages/schemaCheck.js';
import type { StatementPlan } from '../stages/schemaPlan.js';
import type { ChangeView, SchemaView, TableView } from '../stages/schemaView.js';

export function schemaText({ tables, changes }: SchemaView): string {
  const parts = tables.map(tableText);
  const history = changes.length === 0 ? [] : [`changes, the newest first\n${changes.map(changeText).join('\n')}`];
  return [...parts, ...history].join('\n\n');
}

function tableText(view: TableView): string {
  const { table, key, policy, held, columns, ignored, topic, mongo, redis, losses } = view;
  const names = Math.max(...columns.map(({ name }) => name.length));
  const types = Math.max(...columns.map(({ mysql }) => mysql.length));
  const lines = columns.map(({ name, mysql, mongo: bson, inKey }) => {
    const stored = bson === null ? '' : `  ${bson}`;
    return `  ${inKey ? '*' : ' '} ${name.padEnd(names)}  ${mysql.padEnd(types)}${stored}`.trimEnd();
  });
  return [
    `${table}  key (${key.join(', ')})  policy ${policy}${held ? '  HELD: lockstep resume lets the stores follow' : ''}`,
    ...lines,
    ...(ignored.length === 0 ? [] : [`  not captured (policy ignore): ${ignored.join(', ')}`]),
    `  topic   ${topic}`,
    ...(mongo === null ? [] : [`  MongoDB ${mongo.collection}  validator ${mongo.validator}`, ...indexLines(mongo)]),
    ...(redis === null ? [] : [`  Redis   ${redis.key}  layout ${redis.layout}`]),
    ...losses.map((loss) => `  loses   ${loss}`),
  ].join('\n');
}

function indexLines({ indexes }: NonNullable<TableView['mongo']>): readonly string[] {
  return indexes.map(({ name, columns, refusal }) => {
    const note = refusal === null ? '' : `  not mirrored: ${refusal}`;
    return `          index ${name} (${columns})${note}`;
  });
}

function changeText({ id, at, table, consequence, changes }: ChangeView): string {
  return `  #${id}  ${at}  ${table}  ${consequence}: ${changes.map(({ text }) => text).join('; ')}`;
}

export function checkText({ tables, disagreements }: SchemaCheck): string {
  if (disagreements.length === 0) return `the schemas of ${tables} tables agree`;
  return [...disagreements.map(disagreementText), `${disagreements.length} disagreements`].join('\n');
}

function disagreementText({ table, store, kind, subject, expected, found }: Disagreement): string {
  return `${table}  ${store}  ${kind} ${subject}: expected ${expected}, found ${found}`;
}

export function planText(plans: readonly StatementPlan[]): string {
  return plans
    .map(({ statement, changes, algorithm, steps }, i) => {
      const how = algorithm === null ? '' : `  MySQL: ${algorithmText(algorithm)}`;
      const what = changes === '' && how === '' ? [] : [`   ${changes}${how}`.trimEnd()];
      return [
        `${i + 1}/${plans.length}  ${statement.text.replaceAll(/\s+/g, ' ')}`,
        ...what,
        ...steps.map((step, n) => `   ${n + 1}. ${step}`),
      ].join('\n');
    })
    .join('\n');
}

function algorithmText(algorithm: Algorithm): string {
  switch (algorithm) {
    case 'instant':
      return 'instant';
    case 'online':
      return 'online, rows stay writable';
    case 'copying':
      return 'copies the table, writers wait';
  }
}
