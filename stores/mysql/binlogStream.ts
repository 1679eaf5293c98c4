/**
 * The binary log as a stream of raw events, over mysql2's own connection: its authentication, TLS and packets, and a
 * COM_BINLOG_DUMP as one more command. mysql2's own one hands on no row events; ZongJi needs another driver, reads a table's
 * columns from information_schema as they are now, not as they were, and ends at the first table that is gone.
 * An event is handed on where it lies in the socket's buffer, and is copied by whoever keeps it.
 */
import { createConnection } from 'mysql2';
import type { MysqlConfig } from '../../core/config.js';
import { LockstepError } from '../../core/errors.js';
import { connectionOptions, whereIs } from './address.js';
import { errorNumber, mysqlFailure } from './failure.js';
import { quoteText } from './quote.js';

export interface BinlogPlace {
  readonly file: string;
  readonly offset: number;
}

export interface BinlogRequest {
  readonly from: BinlogPlace;
  /** A dump that was left behind under the same UUID is ended by the server when this one begins. */
  readonly serverId: number;
  readonly replicaUuid: string;
  /** At rest the server says so at this pace. */
  readonly heartbeatSeconds: number;
}

export interface BinlogStream {
  /** Rejects when the connection or the server ends it: LS-WITNESS-BINLOG-LOST where the place is not there any more. */
  readonly ended: Promise<never>;
  /** performance.now() of the newest packet. */
  lastPacketAt(): number;
  destroy(): void;
}

/** Takes one event, header included, at buffer[start, end). A promise holds the stream until it is settled. */
export type EventTaker = (buffer: Buffer, start: number, end: number) => Promise<void> | null;

/** What of mysql2's connection its types do not show; the version is pinned. */
interface Wire {
  addCommand(command: WireCommand): unknown;
  writePacket(packet: WirePacket): void;
  _resetSequenceId(): void;
  pause(): void;
  resume(): void;
  readonly stream: { destroy(): void };
}

interface WireCommand {
  /** True when the command has ended. The first call has no packet. */
  execute(packet: ReceivedPacket | undefined, wire: Wire): boolean;
  onResult(error: Error): void;
}

interface WirePacket {
  readonly buffer: Buffer;
  length(): number;
  writeHeader(sequence: number): void;
}

interface ReceivedPacket {
  readonly buffer: Buffer;
  readonly offset: number;
  readonly end: number;
  isError(): boolean;
  isEOF(): boolean;
  asError(encoding: string): Error;
}

const comBinlogDump = 0x12;
/** The server could not send what was asked for; what follows tells why. */
const fatalReadError = 1236;

export async function openBinlogStream(
  config: MysqlConfig,
  request: BinlogRequest,
  take: EventTaker,
): Promise<BinlogStream> {
  const where = whereIs(config);
  const connection = createConnection(connectionOptions(config));
  let fail: (error: unknown) => void = () => undefined;
  const ended = new Promise<never>((_, reject) => {
    fail = (error) => reject(streamFailure(error, where));
  });
  // Whoever waits for it hears of it; nobody may be waiting yet.
  ended.catch(() => undefined);
  connection.on('error', fail);
  try {
    await connection.promise().query(settings(request));
  } catch (error) {
    connection.destroy();
    throw mysqlFailure(error, where);
  }
  // The driver's types leave out what a command of one's own needs.
  const wire = connection as unknown as Wire;
  const dump = new Dump(wire, request, take, fail);
  wire.addCommand(dump);
  return {
    ended,
    lastPacketAt: () => dump.lastPacketAt,
    destroy: () => wire.stream.destroy(),
  };
}

/** Both spellings: a server looks for its own and ignores the other. */
function settings({ heartbeatSeconds, replicaUuid }: BinlogRequest): string {
  const nanoseconds = Math.round(heartbeatSeconds * 1e9);
  const uuid = quoteText(replicaUuid);
  return (
    `SET @source_heartbeat_period=${nanoseconds}, @master_heartbeat_period=${nanoseconds}, ` +
    `@source_binlog_checksum=@@global.binlog_checksum, @master_binlog_checksum=@@global.binlog_checksum, ` +
    `@replica_uuid=${uuid}, @slave_uuid=${uuid}, SESSION net_write_timeout=3600`
  );
}

class Dump implements WireCommand {
  readonly #wire: Wire;
  readonly #request: BinlogRequest;
  readonly #take: EventTaker;
  readonly #fail: (error: unknown) => void;
  lastPacketAt = performance.now();

  constructor(wire: Wire, request: BinlogRequest, take: EventTaker, fail: (error: unknown) => void) {
    this.#wire = wire;
    this.#request = request;
    this.#take = take;
    this.#fail = fail;
  }

  execute(packet: ReceivedPacket | undefined, wire: Wire): boolean {
    if (packet === undefined) {
      wire._resetSequenceId();
      wire.writePacket(dumpPacket(this.#request));
      return false;
    }
    this.lastPacketAt = performance.now();
    if (packet.isError()) {
      this.#fail(packet.asError('utf8'));
      return true;
    }
    if (packet.isEOF()) {
      this.#fail(new LockstepError('LS-MYSQL-UNREACHABLE', 'the server ended the stream of its binary log'));
      return true;
    }
    try {
      // One byte says that it is an event.
      const held = this.#take(packet.buffer, packet.offset + 1, packet.end);
      if (held !== null) this.#hold(held);
    } catch (error) {
      this.#fail(error);
      wire.stream.destroy();
    }
    return false;
  }

  #hold(until: Promise<void>): void {
    this.#wire.pause();
    void until.then(
      () => this.#wire.resume(),
      (error: unknown) => {
        this.#fail(error);
        this.#wire.stream.destroy();
      },
    );
  }

  onResult(error: Error): void {
    this.#fail(error);
  }
}

function dumpPacket({ from, serverId }: BinlogRequest): WirePacket {
  const name = Buffer.from(from.file, 'utf8');
  const buffer = Buffer.alloc(4 + 11 + name.length);
  buffer.writeUInt8(comBinlogDump, 4);
  buffer.writeUInt32LE(from.offset, 5);
  buffer.writeUInt16LE(0, 9);
  buffer.writeUInt32LE(serverId, 11);
  name.copy(buffer, 15);
  return {
    buffer,
    length: () => buffer.length,
    writeHeader(sequence) {
      buffer.writeUIntLE(buffer.length - 4, 0, 3);
      buffer.writeUInt8(sequence, 3);
    },
  };
}

function streamFailure(error: unknown, where: string): LockstepError {
  if (
    errorNumber(error) !== fatalReadError ||
    !(error instanceof Error) ||
    /replica with the same/i.test(error.message)
  )
    return mysqlFailure(error, where);
  return new LockstepError('LS-WITNESS-BINLOG-LOST', `MySQL at ${where}: ${error.message}`, {
    details: { errno: fatalReadError },
  });
}
