/** What the binary log holds from a place on, up to a row of a table that a test uses as its end. */
import type { MysqlConfig } from '../../core/config.js';
import { eventType, hasChecksums, readHeader } from '../../stores/mysql/binlogEvents.js';
import { readBinlogEnd } from '../../stores/mysql/binlogFacts.js';
import { rowsTable, walkRows, type Spots } from '../../stores/mysql/binlogRows.js';
import { openBinlogStream, type BinlogPlace } from '../../stores/mysql/binlogStream.js';
import { mappedTable, readTableMap, type TableMap } from '../../stores/mysql/binlogTableMap.js';
import type { Mysql } from '../../stores/mysql/connection.js';

export async function binlogEnd(mysql: Mysql): Promise<BinlogPlace> {
  const end = await readBinlogEnd(mysql);
  if (end === null) throw new Error('the server has no binary log');
  return end;
}

/** Calls `row` for each row event of the database until the table `last` has one. */
export async function readRowsSince(
  config: MysqlConfig,
  from: BinlogPlace,
  last: string,
  row: (type: number, map: TableMap, buffer: Buffer, first: Spots, second: Spots) => void,
): Promise<void> {
  const maps = new Map<number, TableMap>();
  let checksums = false;
  let done: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    done = resolve;
  });
  const request = {
    from,
    serverId: 0x7ffffff0,
    replicaUuid: '00000000-0000-0000-0000-00000000beef',
    heartbeatSeconds: 5,
  };
  const stream = await openBinlogStream(config, request, (buffer, start, end) => {
    const { type } = readHeader(buffer, start);
    const body = checksums ? end - 4 : end;
    if (type === eventType.formatDescription) checksums = hasChecksums(buffer, start, end);
    else if (type === eventType.tableMap) maps.set(mappedTable(buffer, start), readTableMap(buffer, start, body));
    else if (type >= eventType.writeRows && type <= eventType.deleteRows) {
      const map = maps.get(rowsTable(buffer, start));
      if (map?.database !== config.database) return null;
      if (map.table === last) done();
      walkRows(type, map, buffer, start, body, (first, second) => row(type, map, buffer, first, second));
    }
    return null;
  });
  try {
    await Promise.race([ended, stream.ended]);
  } finally {
    stream.destroy();
  }
}
