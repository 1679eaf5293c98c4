import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeFolder } from '../../temporal-compose/folder.js';
import { withLock } from '../../temporal-compose/lock.js';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lockstep-folder-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

describe('makeFolder', () => {
  test('shows nothing under the final name before it is whole', async () => {
    const path = join(folder, 'kafka');
    await makeFolder(path, async (draft) => {
      await writeFile(join(draft, 'a'), '1');
      expect(existsSync(path)).toBe(false);
    });
    expect(await readFile(join(path, 'a'), 'utf8')).toBe('1');
  });

  test('leaves nothing behind when filling fails, and works the next time', async () => {
    const path = join(folder, 'kafka');
    const failing = makeFolder(path, async (draft) => {
      await writeFile(join(draft, 'a'), '1');
      throw new Error('cut off');
    });
    await expect(failing).rejects.toThrow('cut off');
    expect(await readdir(folder)).toEqual([]);
    await makeFolder(path, async (draft) => await writeFile(join(draft, 'a'), '2'));
    expect(await readFile(join(path, 'a'), 'utf8')).toBe('2');
  });

  test('removes what a killed attempt left, and nothing else', async () => {
    const path = join(folder, 'kafka');
    await mkdir(join(folder, 'kafka.new-0badcafe', 'libs'), { recursive: true });
    await mkdir(join(folder, 'kafka-tools'));
    await makeFolder(path, () => Promise.resolve());
    expect((await readdir(folder)).toSorted()).toEqual(['kafka', 'kafka-tools']);
  });

  test('is not filled twice', async () => {
    const path = join(folder, 'kafka');
    await makeFolder(path, async (draft) => await writeFile(join(draft, 'a'), '1'));
    await makeFolder(path, () => Promise.reject(new Error('filled again')));
    expect(await readdir(path)).toEqual(['a']);
  });
});

describe('withLock', () => {
  test('lets one in at a time', async () => {
    const path = join(folder, 'lock');
    let inside = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      inside += 1;
      most = Math.max(most, inside);
      await pause(5);
      inside -= 1;
    };
    await Promise.all(Array.from({ length: 8 }, async () => await withLock(path, {}, work)));
    expect(most).toBe(1);
    expect(await readdir(folder)).toEqual([]);
  });

  test.each([
    ['an owner that has ended', '999999999 6ac34ba1-c6ad-4f3e-a2a9-1d4b36e7d8a5 1 token'],
    ['an owner whose pid now is another process', `${process.pid} 6ac34ba1-c6ad-4f3e-a2a9-1d4b36e7d8a5 1 token`],
    ['a lock that nobody can read', 'rubbish'],
  ])('takes over from %s', async (_name, text) => {
    const path = join(folder, 'lock');
    await writeFile(path, text);
    let waited = false;
    const onWait = (): void => void (waited = true);
    expect(await withLock(path, { onWait }, () => Promise.resolve('done'))).toBe('done');
    expect(waited).toBe(false);
    expect(await readdir(folder)).toEqual([]);
  });

  test('says whom it waits for, and stops waiting when told to', async () => {
    const path = join(folder, 'lock');
    const ending = new AbortController();
    const owners: number[] = [];
    await withLock(path, {}, async () => {
      const waiting = withLock(path, { signal: ending.signal, onWait: (owner) => owners.push(owner) }, () =>
        Promise.resolve('in'),
      );
      await expect.poll(() => owners).toEqual([process.pid]);
      ending.abort(new Error('no longer wanted'));
      await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
    });
  });

  test('is free again after the work failed', async () => {
    const path = join(folder, 'lock');
    await expect(withLock(path, {}, () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
    expect(await withLock(path, {}, () => Promise.resolve(1))).toBe(1);
  });
});
