/** Form settings held against the tables: a column that is not there, a form on a type that it does not fit. Pure. */
import type { Config } from './config.js';
import type { Mistake } from './configText.js';
import type { Column, Definition } from './definition.js';
import { formRules, formSettings, isChosen, type FormSettings } from './forms.js';
import { nearest } from './suggest.js';

/** `definitions`: of every base table of the source. Tables that none of them is are told by `checkOverrides`. */
export function checkForms(config: Pick<Config, 'overrides'>, definitions: readonly Definition[]): Mistake[] {
  return definitions.flatMap((definition) => {
    const { table } = definition;
    const override = Object.hasOwn(config.overrides, table) ? config.overrides[table] : undefined;
    if (override === undefined) return [];
    return [
      ...idleSettings(`overrides.${table}`, override.forms ?? {}, definition),
      ...Object.entries(override.columns ?? {}).flatMap(([name, settings]) =>
        columnMistakes(`overrides.${table}.columns.${name}`, name, settings, definition),
      ),
    ];
  });
}

/** A table's setting that no column of it fits was meant for another table, or for another type. */
function idleSettings(path: string, settings: FormSettings, { table, columns }: Definition): Mistake[] {
  return formSettings.flatMap((setting) => {
    const { fits, types } = formRules[setting];
    if (!isChosen(setting, settings) || columns.some((column) => fits(column))) return [];
    return [{ path: `${path}.${setting}`, problem: `fits no column of ${table}; allowed on ${types}` }];
  });
}

function columnMistakes(path: string, name: string, settings: FormSettings, definition: Definition): Mistake[] {
  const column = definition.columns.find((c) => c.name === name);
  if (column === undefined) return [unknownColumn(path, name, definition)];
  const inKey = definition.key.includes(name);
  return formSettings.flatMap((setting) => {
    if (settings[setting] === undefined) return [];
    const { fits, types, inKey: refusal } = formRules[setting];
    if (!fits(column)) return [unfit(`${path}.${setting}`, column, types)];
    if (!inKey || refusal === null || !isChosen(setting, settings)) return [];
    return [{ path: `${path}.${setting}`, problem: `is not for a column of the key: ${refusal}` }];
  });
}

function unknownColumn(path: string, name: string, { table, columns }: Definition): Mistake {
  const names = columns.map((column) => column.name);
  const meant = nearest(name, names);
  const suggestion = meant === undefined ? '' : ` (did you mean ${meant}?)`;
  const some = names.length > 12 ? `${names.slice(0, 12).join(', ')}, … (${names.length} columns)` : names.join(', ');
  return { path, problem: `names no column of ${table}${suggestion}; allowed: ${some}` };
}

function unfit(path: string, column: Column, types: string): Mistake {
  return { path, problem: `does not fit ${column.columnType}; allowed on ${types}` };
}
