/**
 * Who takes part in deadlocks: the server describes the latest one, so it is asked often. An application may deadlock with
 * itself; lockstep must never be one of the two.
 */
import { createConnection } from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2/promise';

export interface DeadlockWatch {
  /** Ends the watch; the descriptions of different deadlocks that touch one of the given names. */
  stop(): Promise<string[]>;
}

/** `names`: databases or users whose deadlocks are of interest; the server may serve others too. */
export async function watchDeadlocks(uri: string, names: readonly string[]): Promise<DeadlockWatch> {
  const connection = await createConnection({ uri });
  const seen = new Set<string>();
  let watching = true;
  const look = async (): Promise<void> => {
    while (watching) {
      const [rows] = await connection.query<RowDataPacket[]>('SHOW ENGINE INNODB STATUS');
      const text = String(rows[0]?.['Status']);
      const latest = /LATEST DETECTED DEADLOCK\n-+\n([^]*?)\n-+\nTRANSACTIONS/.exec(text)?.[1];
      if (latest !== undefined && names.some((name) => latest.includes(name))) seen.add(latest);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  };
  const looking = look();
  return {
    async stop() {
      watching = false;
      await looking;
      await connection.end();
      return [...seen];
    },
  };
}
