/** Kills and freezes a server of a local stack: its process, or its container where the stack runs in Docker. */
import { run } from '../../temporal-compose/command.js';
import { projectName } from '../../temporal-compose/compose.js';
import { findRunning } from '../../temporal-compose/launch.js';
import { placeOf } from '../../temporal-compose/place.js';
import { type ServerName } from '../../temporal-compose/server-name.js';
import { readState } from '../../temporal-compose/state.js';

export type Blow = 'kill' | 'freeze' | 'thaw';

const signals = { kill: 'SIGKILL', freeze: 'SIGSTOP', thaw: 'SIGCONT' } as const;
const commands = { kill: 'kill', freeze: 'pause', thaw: 'unpause' } as const;

export async function strikeServer(root: string, server: ServerName, blow: Blow): Promise<void> {
  const place = placeOf(root);
  if ((await readState(place))?.engine === 'docker') {
    await run(['docker', commands[blow], await containerOf(root, server)]);
    return;
  }
  const running = await findRunning(place.pidFile(server));
  if (running === undefined) throw new Error(`${server} does not run`);
  process.kill(running.pid, signals[blow]);
}

export async function containerOf(root: string, server: ServerName): Promise<string> {
  const labels = [`project=${projectName(placeOf(root).root)}`, `service=${server}`];
  const filters = labels.flatMap((label) => ['--filter', `label=com.docker.compose.${label}`]);
  const id = (await run(['docker', 'ps', '--quiet', ...filters])).stdout.trim();
  if (id === '') throw new Error(`${server} has no running container`);
  return id;
}
