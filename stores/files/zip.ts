/** The entries of a zip archive. Sizes and CRCs are proven: a damaged entry ends in an error, not in other rows. */
import { Transform, type Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import yauzl, { type Entry, type ZipFile } from 'yauzl';
import { LockstepError } from '../../core/errors.js';

/** Files in the archive, in its order; folders and what macOS adds are none. */
export async function zipEntries(path: string): Promise<readonly string[]> {
  const names: string[] = [];
  await walk(path, (entry) => {
    if (!entry.fileName.endsWith('/') && !/(?:^|\/)(?:__MACOSX\/|\.DS_Store$)/.test(entry.fileName)) {
      names.push(entry.fileName);
    }
    return Promise.resolve(true);
  });
  refuseTwins(path, names);
  return names;
}

/** An entry is found again by its name: of two with one name, the second one's rows would never be read. */
function refuseTwins(path: string, names: readonly string[]): void {
  const seen = new Set<string>();
  const twin = names.find((name) => seen.size === seen.add(name).size);
  if (twin === undefined) return;
  const message = `${path} has two entries called ${twin}: unpack it, and load both files under names of their own`;
  throw new LockstepError('LS-INGEST-FILE-FORM', message);
}

export async function zipEntry(path: string, name: string): Promise<Readable> {
  let found: Readable | undefined;
  await walk(path, async (entry, zip) => {
    if (entry.fileName !== name) return true;
    found = await openedEntry(zip, entry);
    return false;
  });
  if (found === undefined) throw new Error(`the archive has no entry ${name}`);
  return found;
}

/** Calls `visit` for each entry until it says false. The archive closes with the last stream that was opened from it. */
function walk(path: string, visit: (entry: Entry, zip: ZipFile) => Promise<boolean>): Promise<void> {
  return new Promise((resolve, reject) => {
    yauzl.open(path, { lazyEntries: true, autoClose: true }, (error, zip) => {
      if (error !== null) {
        reject(error);
        return;
      }
      zip.on('error', reject);
      zip.on('end', resolve);
      zip.on('entry', (entry: Entry) => {
        visit(entry, zip).then((more) => {
          if (more) zip.readEntry();
          else {
            zip.close();
            resolve();
          }
        }, reject);
      });
      zip.readEntry();
    });
  });
}

function openedEntry(zip: ZipFile, entry: Entry): Promise<Readable> {
  return new Promise((resolve, reject) => {
    zip.openReadStream(entry, (error, stream) => {
      if (error !== null) {
        reject(error);
        return;
      }
      const checked = new Transform({ transform: addTo, flush: compare, highWaterMark: 256 * 1024 });
      let sum = 0;
      function addTo(piece: Buffer, _: unknown, done: (error: null, piece: Buffer) => void): void {
        sum = crc32(piece, sum);
        done(null, piece);
      }
      function compare(done: (error?: Error) => void): void {
        done(sum === entry.crc32 ? undefined : new Error(`entry ${entry.fileName} is damaged: its CRC is another`));
      }
      stream.on('error', (cause) => checked.destroy(cause));
      checked.on('close', () => stream.destroy());
      resolve(stream.pipe(checked));
    });
  });
}
