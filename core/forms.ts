/**
 * Other forms for those who need them: the settings int64, json, datetime and boolean of a pipeline, a table or a column.
 * What they choose becomes part of the table's definition, so of its hash, its triggers, its row JSON and its BSON; nothing
 * else ever asks the configuration how a column looks. Pure.
 */
import type { Config } from './config.js';
import type { Column, ColumnForm, Definition } from './definition.js';

/** The first of each is the type's own form. */
export const formChoices = {
  int64: ['number', 'string'],
  json: ['value', 'string'],
  datetime: ['string', 'date'],
  boolean: ['bit1', 'tinyint1'],
} as const;

export type FormSetting = keyof typeof formChoices;

/** What is absent is decided further up: column, table, pipeline, the type's own form. */
export type FormSettings = { readonly [S in FormSetting]?: (typeof formChoices)[S][number] };

export const formSettings = Object.keys(formChoices) as readonly FormSetting[];

interface FormRule {
  readonly form: ColumnForm;
  readonly fits: (column: Column) => boolean;
  /** The types that it fits, for messages. */
  readonly types: string;
  /** Why a key column keeps its own form; null where it need not. */
  readonly inKey: string | null;
}

export const formRules: Readonly<Record<FormSetting, FormRule>> = {
  int64: {
    form: 'int64-string',
    // Narrower ones never pass 2^53, where JavaScript's parser begins to round.
    fits: ({ type, precision }) => type === 'bigint' || (type === 'bit' && (precision ?? 1) > 53),
    types: 'BIGINT and BIT(54) to BIT(64)',
    inKey: null,
  },
  json: { form: 'json-string', fits: ({ type }) => type === 'json', types: 'JSON', inKey: null },
  datetime: {
    form: 'datetime-date',
    fits: ({ type, fsp }) => (type === 'datetime' || type === 'timestamp') && (fsp ?? 0) > 3,
    types: 'DATETIME and TIMESTAMP with more than 3 fraction digits',
    inKey: 'two keys that differ in microseconds would become one',
  },
  boolean: {
    form: 'tinyint1-boolean',
    fits: ({ columnType }) => /^tinyint\(1\)$/i.test(columnType),
    types: 'TINYINT(1)',
    inKey: 'a key keeps its number',
  },
};

/** The definition as the configuration wants its columns; the same object where it wants nothing. */
export function withForms(definition: Definition, config: Pick<Config, 'forms' | 'overrides'>): Definition {
  const columns = definition.columns.map((column) => {
    const chosen = settingsOf(definition.table, column.name, config);
    const form = formOf(column, chosen, definition.key.includes(column.name));
    return form === undefined ? column : { ...column, form };
  });
  return columns.every((column, i) => column === definition.columns[i]) ? definition : { ...definition, columns };
}

/** The settings that hold for a column: its own, else its table's, else the pipeline's. */
function settingsOf(table: string, column: string, config: Pick<Config, 'forms' | 'overrides'>): FormSettings {
  const override = Object.hasOwn(config.overrides, table) ? config.overrides[table] : undefined;
  const columns = override?.columns ?? {};
  return { ...config.forms, ...override?.forms, ...(Object.hasOwn(columns, column) ? columns[column] : {}) };
}

function formOf(column: Column, chosen: FormSettings, inKey: boolean): ColumnForm | undefined {
  const setting = formSettings.find((name) => {
    const { fits, inKey: refusal } = formRules[name];
    return isChosen(name, chosen) && fits(column) && !(inKey && refusal !== null);
  });
  return setting === undefined ? undefined : formRules[setting].form;
}

/** Whether the setting asks for another form than the type's own. */
export function isChosen(setting: FormSetting, chosen: FormSettings): boolean {
  return chosen[setting] === formChoices[setting][1];
}

export interface FormLoss {
  readonly column: string;
  readonly form: ColumnForm;
  /** What is lost, as a sentence for the operator. */
  readonly loss: string;
}

/** What a table's forms give up. Only `datetime: date` does, and only in MongoDB. */
export function formLosses(definition: Definition): readonly FormLoss[] {
  return definition.columns.flatMap((column) =>
    column.form === 'datetime-date'
      ? [
          {
            column: column.name,
            form: column.form,
            loss: `${column.columnType} becomes a BSON Date (datetime: date): digits below the millisecond are cut in MongoDB`,
          },
        ]
      : [],
  );
}
