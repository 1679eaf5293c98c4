/** Reads lockstep.yaml and the secrets it names. The one place in core that touches files. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Config } from './config.js';
import { parseConfig } from './configFile.js';
import { LockstepError } from './errors.js';

/** Throws LS-CONFIG-UNREADABLE, or LS-CONFIG-INVALID with every mistake of the file. */
export async function loadConfig(
  path: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Config> {
  return parseConfig(await readConfigFile(path), path, { env, readSecret: (secret) => readFileSync(secret, 'utf8') });
}

async function readConfigFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    const hint =
      reason === 'ENOENT'
        ? 'does not exist; `lockstep init` writes one, `-c FILE` names another'
        : `cannot be read (${reason})`;
    throw new LockstepError('LS-CONFIG-UNREADABLE', `${path} ${hint}`, { cause: error, details: { file: path } });
  }
}
