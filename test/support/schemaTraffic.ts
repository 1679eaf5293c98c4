/** An application that knows only the columns `id` and `n` of a table, and writes as long as it is let. */
import { createConnection } from 'mysql2/promise';
import type { Pipeline } from './pipeline.js';

export interface Traffic {
  readonly failures: readonly string[];
  readonly statements: () => number;
  stop(): Promise<void>;
}

/** What any application meets beside an ALTER of its own, lockstep or not: its table was changed under its transaction. */
const ownAffair = new Set(['ER_TABLE_DEF_CHANGED']);

export function startTraffic(pipeline: Pipeline, table: string, writers: number): Traffic {
  const failures: string[] = [];
  let statements = 0;
  let running = true;
  const uri = rootUri(pipeline);
  const write = async (writer: number): Promise<void> => {
    const connection = await createConnection({ uri });
    const key = table === 'rekeyed' ? ', code' : '';
    try {
      for (let id = 1_000 + writer; running; id += writers) {
        const code = table === 'rekeyed' ? `, 'c${id}'` : '';
        const sql = [
          `INSERT INTO ${table} (id, n${key}) VALUES (${id}, ${id}${code})`,
          `UPDATE ${table} SET n = n + 1 WHERE id IN (${id}, 1, 2)`,
          ...(id % 3 === 0 ? [`DELETE FROM ${table} WHERE id = ${id}`] : []),
        ];
        for (const statement of sql) {
          await connection.query(statement).catch((error: unknown) => {
            const code = String((error as { code?: unknown }).code);
            if (!ownAffair.has(code)) failures.push(`${statement}: ${code}`);
          });
          statements += 1;
        }
        await new Promise((resolve) => setTimeout(resolve, 60));
      }
    } finally {
      connection.destroy();
    }
  };
  const all = Array.from({ length: writers }, (_, writer) => write(writer));
  return {
    failures,
    statements: () => statements,
    async stop() {
      running = false;
      await Promise.all(all);
    },
  };
}

function rootUri({ root, database }: Pipeline): string {
  const { host, port, user, password } = root.config as { host: string; port: number; user: string; password?: string };
  return `mysql://${user}:${encodeURIComponent(password ?? '')}@${host}:${port}/${database}`;
}
