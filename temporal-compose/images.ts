/**
 * The images of `docker-compose.yml`. One that is on this machine is used as it is: a stack starts without a network, and
 * a run of tests asks Docker Hub for nothing.
 */
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { z } from 'zod';
import { run } from './command.js';
import { composeFile } from './compose.js';
import type { Shelf } from './server.js';
import type { ServerName } from './server-name.js';

const fileSchema = z.object({ services: z.record(z.string(), z.object({ image: z.string() })) });

async function imagesOf(names: readonly ServerName[]): Promise<readonly string[]> {
  const { services } = fileSchema.parse(parse(await readFile(composeFile, 'utf8')));
  return names.flatMap((name) => services[name]?.image ?? []);
}

async function isHere(image: string): Promise<boolean> {
  return await run(['docker', 'image', 'inspect', image]).then(
    () => true,
    () => false,
  );
}

/** Downloads what is missing, all at once. Fails where Docker Hub cannot be reached; the caller decides what then. */
export async function pullImages(shelf: Shelf, names: readonly ServerName[], log: string): Promise<void> {
  const images = await imagesOf(names);
  const here = await Promise.all(images.map(isHere));
  const missing = images.filter((_, index) => here[index] === false);
  if (missing.length === 0) return;
  // The first failure ends the other downloads: what they have is kept by the engine.
  const ending = new AbortController();
  const signal = AbortSignal.any([shelf.signal, ending.signal]);
  const pulls = missing.map(async (image) => {
    const options = { log, signal, failure: 'LS-STACK-FETCH' } as const;
    await shelf.progress.during('docker', `pulling ${image}`, async () => {
      await run(['docker', 'pull', '--quiet', image], options);
    });
  });
  try {
    await Promise.all(pulls);
  } catch (error) {
    ending.abort(error);
    await Promise.allSettled(pulls);
    throw error;
  }
}
