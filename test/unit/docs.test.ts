/** Pages that are made from the code, or name what is in it, are current. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { errorCodes } from '../../core/errors.js';
import { errorsPage } from '../../core/errorsPage.js';

const page = (name: string): string => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');

it('docs/errors.md is what node bin/docs.mjs writes', () => {
  expect(page('errors.md')).toBe(errorsPage());
});

it('every code has its place and says what it means', () => {
  const text = errorsPage();
  for (const [code, { help }] of Object.entries(errorCodes)) {
    expect(text).toContain(`### ${code}\n`);
    expect(`${code}: ${help}`).toMatch(/: [^]{40}/);
  }
});

it('docs name no code that does not exist', () => {
  for (const name of ['commands.md', 'configuration.md', 'errors.md']) {
    for (const [code] of page(name).matchAll(/\bLS-[A-Z]+(?:-[A-Z]+)+\b/g))
      expect(Object.keys(errorCodes)).toContain(code);
  }
});
