/** `lockstep down`: stops the local servers; `--wipe` removes their data as well. */
import { down as downStack } from '../temporal-compose/stack.js';

export interface DownArguments {
  readonly wipe: boolean;
  /** The state folder; default `.lockstep`. */
  readonly root?: string | undefined;
}

export async function down(args: DownArguments): Promise<void> {
  await downStack({
    root: args.root,
    wipe: args.wipe,
    onProgress: (line) => process.stderr.write(`${line}\n`),
  });
}
