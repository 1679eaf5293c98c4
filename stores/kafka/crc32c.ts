/**
 * CRC-32C (Castagnoli), which Kafka demands of every record batch. Eight bytes at a time over eight tables: 2.5 times as
 * fast as the byte-wise loop, which was the largest single cost of a publish. Node's zlib knows the other CRC-32 only.
 */
const polynomial = 0x82f63b78;
const tables = buildTables();

function buildTables(): Int32Array {
  const all = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    all[byte] = crc;
  }
  for (let i = 256; i < all.length; i++) {
    const shorter = all[i - 256] ?? 0;
    all[i] = (shorter >>> 8) ^ (all[shorter & 0xff] ?? 0);
  }
  return all;
}

/** Over bytes [start, end); an unsigned 32-bit integer. */
export function crc32c(bytes: Uint8Array, start: number, end: number): number {
  const t = tables;
  let crc = -1;
  let i = start;
  // Inside the bounds every index exists; a check of each would cost as much as the sum.
  for (const whole = end - 7; i < whole; i += 8) {
    const low =
      crc ^
      ((bytes[i] as number) |
        ((bytes[i + 1] as number) << 8) |
        ((bytes[i + 2] as number) << 16) |
        ((bytes[i + 3] as number) << 24));
    crc =
      (t[1792 + (low & 0xff)] as number) ^
      (t[1536 + ((low >>> 8) & 0xff)] as number) ^
      (t[1280 + ((low >>> 16) & 0xff)] as number) ^
      (t[1024 + (low >>> 24)] as number) ^
      (t[768 + (bytes[i + 4] as number)] as number) ^
      (t[512 + (bytes[i + 5] as number)] as number) ^
      (t[256 + (bytes[i + 6] as number)] as number) ^
      (t[bytes[i + 7] as number] as number);
  }
  for (; i < end; i++) crc = (t[(crc ^ (bytes[i] as number)) & 0xff] as number) ^ (crc >>> 8);
  return (crc ^ -1) >>> 0;
}
