/** The text of the lockstep.yaml that `init` writes: commented, without a single password. Pure. */
import { joinUri, splitUri } from '../core/uri.js';

export interface InitFile {
  readonly pipeline: string;
  readonly mysql: string;
  readonly stateDatabase: string;
  readonly mongo: string | null;
  readonly mongoDatabase: string | null;
  readonly redis: string | null;
  readonly brokers: readonly string[];
  readonly temporal: string;
  /** Names of the tables that are captured. */
  readonly tables: readonly string[];
  /** Left out, with the reason in words. */
  readonly leftOut: readonly { readonly table: string; readonly explanation: string }[];
}

export function initFileText(file: InitFile): string {
  const { pipeline, mysql, stateDatabase, mongo, mongoDatabase, redis, brokers, temporal, tables, leftOut } = file;
  const state = stateDatabase === 'lockstep' ? '' : `\n  stateDatabase: ${stateDatabase}   # lockstep's own database`;
  return `# lockstep.yaml: one file a pipeline. docs/configuration.md explains every setting.
# \${NAME} and \${NAME:-default} come from the environment; file:/path reads a secret from a file.

pipeline: ${pipeline}   # names workflows, topics and keys: a-z, 0-9 and -

mysql:
  uri: ${quoted(mysql)}${state}
  # ssl: { ca: file:/etc/lockstep/ca.pem }

kafka:
  brokers: [${brokers.map(quoted).join(', ')}]
  topicPrefix: ${pipeline}
  # partitions: 4              # of every topic; cannot be changed once topics exist
  # replicationFactor: 3
  # retention: 7d
  # sasl: { mechanism: scram-sha-512, username: lockstep, password: "\${KAFKA_PASSWORD}" }

${mongo === null ? 'mongo: off' : `mongo:\n  uri: ${quoted(mongo)}   # a replica set: transactions need one${mongoDatabase === null ? '' : `\n  database: ${quoted(mongoDatabase)}`}`}

${redis === null ? 'redis: off' : `redis:\n  uri: ${quoted(redis)}\n  keyPrefix: ${pipeline}`}

temporal:
  address: ${quoted(temporal)}
  namespace: default

# * stands for any characters. ${tables.length === 0 ? 'No table' : `${tables.length} ${tables.length === 1 ? 'table' : 'tables'}`} can be captured now${tables.length === 0 ? '.' : ':'}
${commentList(tables)}${leftOutComment(leftOut)}tables:
  include: ['*']
  exclude: []

# Per table, where the default does not suit:
# overrides:
#   ${tables[0] === undefined ? 'customers' : quoted(tables[0])}:
#     redis: { layout: hash, ttl: 1h }     # a field a column instead of one JSON text; keys expire an hour after the change
#     mongo: { collection: another_name }
`;
}

/** The URI without its password, and the variable that will hold it: `${MYSQL_PASSWORD}`. */
export function withoutPassword(
  uri: string,
  variable: string,
): { readonly uri: string; readonly password: string | null } {
  const parts = splitUri(uri);
  if (parts === undefined || parts.password === null) return { uri, password: null };
  const marked = joinUri({ ...parts, password: 'PASSWORD', path: parts.path });
  return { uri: marked.replace(':PASSWORD@', `:\${${variable}}@`), password: parts.password };
}

/** A pipeline name out of a database's. */
export function pipelineNameOf(database: string): string {
  const name = database
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 63);
  return name.replace(/-+$/, '') || 'pipeline';
}

/** Plain where YAML reads it as the same text, also within [ ] and { }. */
function quoted(text: string): string {
  return /^[A-Za-z0-9_$./:@%{}*-]+$/.test(text) &&
    /^[A-Za-z]/.test(text) &&
    !/[{}](?<!\$\{)/.test(text.replaceAll(/\$\{\w+\}/g, '')) &&
    !/^(?:true|false|null|yes|no|on|off|~)$/i.test(text)
    ? text
    : JSON.stringify(text);
}

function leftOutComment(leftOut: InitFile['leftOut']): string {
  if (leftOut.length === 0) return '';
  return `# Left out:\n${leftOut.map(({ table, explanation }) => `#   ${inComment(table)}: ${inComment(explanation)}\n`).join('')}`;
}

function commentList(names: readonly string[]): string {
  const lines: string[] = [];
  let line = '';
  for (const name of names.map(inComment)) {
    if (line !== '' && line.length + name.length > 100) {
      lines.push(line);
      line = '';
    }
    line += line === '' ? name : `, ${name}`;
  }
  if (line !== '') lines.push(line);
  return lines.map((text) => `#   ${text}\n`).join('');
}

/** A table's name may hold a line break. */
function inComment(text: string): string {
  return text.replaceAll(/[\r\n\u0085\u2028\u2029]/g, ' ');
}
