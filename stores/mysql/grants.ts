/** Reads SHOW GRANTS, active roles included, and answers whether a privilege is held. Pure but for `readGrants`. */
import { asText } from './cell.js';
import type { Queries } from './connection.js';

export interface Grant {
  /** Upper case; `ALL PRIVILEGES` for all of its level. */
  readonly privileges: ReadonlySet<string>;
  /** Database pattern (`%`, `_` and backslash escapes), `*` for every one. */
  readonly database: string;
  /** `*` for every one. */
  readonly table: string;
}

export interface Grants {
  readonly granted: readonly Grant[];
  /** Partial revokes: a global privilege that is missing on one database. */
  readonly revoked: readonly Grant[];
}

export async function readGrants(queries: Queries): Promise<Grants> {
  const [role] = await queries.rows('SELECT CURRENT_ROLE()');
  const roles = asText(role?.[0] ?? 'NONE');
  const using = roles === 'NONE' || roles === '' ? '' : ` USING ${roles}`;
  const rows = await queries.rows(`SHOW GRANTS FOR CURRENT_USER()${using}`);
  return parseGrants(rows.map((row) => asText(row[0])));
}

/** Under ANSI_QUOTES names stand in double quotes, else in backticks. */
const name = '(\\*|`(?:[^`]|``)*`|"(?:[^"]|"")*")';
const shape = new RegExp(`^(GRANT|REVOKE) (.+?) ON (?:TABLE )?${name}\\.${name} (?:TO|FROM) `);

export function parseGrants(lines: readonly string[]): Grants {
  const granted: Grant[] = [];
  const revoked: Grant[] = [];
  for (const line of lines) {
    const [, verb, privileges, database, table] = shape.exec(line) ?? [];
    if (privileges === undefined || database === undefined || table === undefined) continue;
    const grant = {
      privileges: new Set(privileges.split(/,\s*(?![^(]*\))/).map((p) => p.trim().toUpperCase())),
      database: unquoted(database),
      table: unquoted(table),
    };
    (verb === 'GRANT' ? granted : revoked).push(grant);
  }
  return { granted, revoked };
}

export function hasGlobal(grants: Grants, privilege: string): boolean {
  return grants.granted.some((g) => g.database === '*' && holds(g, privilege));
}

/** Without a table: on all tables of the database. */
export function hasPrivilege(grants: Grants, privilege: string, database: string, table?: string): boolean {
  const covers = (g: Grant): boolean =>
    (g.table === '*' || g.table === table) && (g.database === '*' || matchesPattern(g.database, database));
  const local = grants.granted.some((g) => g.database !== '*' && covers(g) && holds(g, privilege));
  if (local) return true;
  const revoked = grants.revoked.some((g) => g.database === database && holds(g, privilege));
  return !revoked && hasGlobal(grants, privilege);
}

/** On some columns of the table: `INSERT (a, b)`. */
export function hasOnColumns({ granted }: Grants, privilege: string, database: string, table: string): boolean {
  return granted.some(
    (grant) =>
      grant.table === table &&
      matchesPattern(grant.database, database) &&
      [...grant.privileges].some((held) => held.startsWith(`${privilege} (`)),
  );
}

function holds(grant: Grant, privilege: string): boolean {
  if (grant.privileges.has(privilege)) return true;
  // SHOW GRANTS lists the dynamic privileges beside ALL PRIVILEGES, one by one.
  return grant.privileges.has('ALL PRIVILEGES') && !privilege.includes('_');
}

/** Database names in grants are patterns of LIKE. */
function matchesPattern(pattern: string, name: string): boolean {
  const source = pattern.replaceAll(/\\[%_]|[%_]|[.*+?^${}()|[\]\\]/g, (c) => {
    if (c === '%') return '.*';
    if (c === '_') return '.';
    return c.length === 2 ? c.slice(1) : `\\${c}`;
  });
  return new RegExp(`^${source}$`, 's').test(name);
}

function unquoted(quoted: string): string {
  const [quote = ''] = quoted;
  return quoted === '*' ? quoted : quoted.slice(1, -1).replaceAll(quote + quote, quote);
}
