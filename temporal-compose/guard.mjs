/// <reference types="node" />
// Takes a stack down when the process it was made for has ended, however that ended: Ctrl-C, kill -9, a closed terminal.
// Runs as a process of its own (`up` with `owner` starts it). Plain JavaScript, so that it runs from a checkout too.
// Arguments: state folder, pid of the owner, own pid file. Without the pid file the stack was taken down already.
import { existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

const lookEveryMs = 500;
const [root = '', owner = '', pidFile = ''] = process.argv.slice(2);

function ownerRuns() {
  try {
    process.kill(Number(owner), 0);
    return true;
  } catch {
    return false;
  }
}

while (ownerRuns() && existsSync(pidFile)) await pause(lookEveryMs);

if (existsSync(pidFile)) {
  const stack = new URL('../dist/temporal-compose/stack.js', import.meta.url);
  const { down } = /** @type {typeof import('./stack.js')} */ (await import(stack.href));
  await down({ root, wipe: true, onProgress: console.log });
}
