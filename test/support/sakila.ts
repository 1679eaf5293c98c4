/** Oracle's Sakila sample database, loaded into a database of the test's own name. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Connection } from 'mysql2/promise';
import { packageRoot } from '../../temporal-compose/place.js';

const folder = join(packageRoot(), '..', 'shared', 'data', 'sakila');

/** Undefined where the sample data lie; else why the test cannot run. */
export function sakilaMissing(): string | undefined {
  return existsSync(join(folder, 'schema.sql')) ? undefined : 'the Sakila sample data are not beside this project';
}

/** `root` must allow several statements a query; its default database becomes the given one. */
export async function loadSakila(root: Connection, database: string): Promise<void> {
  for (const file of ['schema.sql', 'data.sql']) {
    const text = (await readFile(join(folder, file), 'utf8'))
      .replaceAll(/^(DROP SCHEMA|CREATE SCHEMA|USE) .*$/gm, '')
      .replaceAll(/\bsakila\.(?=\w+ \w)/g, `\`${database}\`.`);
    await root.query(`USE \`${database}\``);
    for (const part of splitByDelimiter(text)) await root.query(part);
  }
  await root.query('SET autocommit = 1');
}

/** Parts that can be sent as they are: `DELIMITER` is a command of the mysql client, not of the server. */
export function splitByDelimiter(text: string): string[] {
  const parts: string[] = [];
  const pieces = text.split(/^DELIMITER (\S+)[ \t]*$/m);
  let delimiter = ';';
  for (const [index, piece] of pieces.entries()) {
    if (index % 2 === 1) delimiter = piece;
    else if (delimiter === ';') parts.push(piece);
    else parts.push(...piece.split(delimiter));
  }
  return parts.filter((part) => part.replaceAll(/^\s*--.*$/gm, '').trim() !== '');
}
