/** Entry of the command line. A driver may keep a timer or a socket a little longer: the end does not wait for it. */
import { run } from './program.js';

// A reader that has seen enough (`lockstep status | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

const code = await run(process.argv.slice(2));
process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
