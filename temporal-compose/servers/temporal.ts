/** Temporal as the stack runs it: the development server with its web UI, on a database file, with lockstep's search attributes. */
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { obtain } from '../cache.js';
import { run, runFetch } from '../command.js';
import type { Launch } from '../launch.js';
import type { Program, Server, Shelf, Site } from '../server.js';
import { findProgram, requireTool } from '../tool.js';
import { compareVersions, parseVersion, type Version } from '../version.js';

/** The last release of the CLI that `go install` accepts: later ones carry a `replace` line. Its server is 1.29.1. */
const release = '1.5.1';
const why =
  'It builds Temporal. Otherwise put the temporal CLI (server 1.29 or newer) into PATH, or start a Docker engine.';
const namespace = 'default';
const searchAttributes = ['LockstepPipeline', 'LockstepStage', 'LockstepTable'] as const;
/** `INDEXED_VALUE_TYPE_KEYWORD` of Temporal's API. */
const keyword = 2;

/**
 * A new timer never fires sooner than the time shift from now, 1 s by default: with it a worker's successor begins 2.3 to
 * 3.4 s after kill -9, without it after 1.8 to 2.1. One partition a task queue: a task never waits for a poller elsewhere.
 */
const promptSettings = [
  'history.timerProcessorMaxTimeShift="10ms"',
  'matching.numTaskqueueReadPartitions=1',
  'matching.numTaskqueueWritePartitions=1',
] as const;

export function temporalArguments(port: number, uiPort: number): readonly string[] {
  return [
    'server',
    'start-dev',
    '--ip=127.0.0.1',
    `--port=${port}`,
    '--ui-ip=127.0.0.1',
    `--ui-port=${uiPort}`,
    '--db-filename=temporal.db',
    '--log-level=warn',
    ...promptSettings.flatMap((setting) => ['--dynamic-config-value', setting]),
    ...searchAttributes.map((name) => `--search-attribute=${name}=Keyword`),
  ];
}

async function versionOf(file: string): Promise<Version> {
  return parseVersion((await run([file, '--version'])).all, 'Server ') ?? [];
}

/** From Go 1.21 on, Go fetches the newer Go that a module asks for. */
async function isGo121(go: string): Promise<boolean> {
  const version = parseVersion((await run([go, 'version'])).all, 'go version go');
  return version !== undefined && compareVersions(version, [1, 21]) >= 0;
}

async function requireUi(port: number): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(2000) });
  await answer.body?.cancel();
  if (!answer.ok) throw new Error(`the web UI answers ${answer.status}`);
}

async function requireSearchAttributes(connection: Connection): Promise<void> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  const missing = searchAttributes.filter((name) => !(name in customAttributes));
  if (missing.length === 0) return;
  const wanted = Object.fromEntries(missing.map((name) => [name, keyword]));
  await connection.operatorService.addSearchAttributes({ namespace, searchAttributes: wanted });
}

export const temporal: Server = {
  name: 'temporal',
  ports: ['temporal', 'temporalUi'],
  supported: { from: [1, 29] },
  stopGraceMs: 20_000,

  async find() {
    const file = findProgram('temporal');
    return file === undefined ? undefined : { command: [file], version: await versionOf(file), origin: 'PATH' };
  },

  async fetch(shelf: Shelf) {
    const what = `building Temporal ${release} with Go (about 3 min, once; a temporal CLI in PATH saves it)`;
    const folder = await obtain(shelf, 'temporal', `temporal-${release}`, what, async (draft, running) => {
      const go = await requireTool({ program: 'go', apt: 'golang-go', why }, shelf.progress, shelf.signal, isGo121);
      await runFetch([go, 'install', '-ldflags=-s -w', `github.com/temporalio/cli/cmd/temporal@v${release}`], {
        ...running,
        env: { GOBIN: draft, CGO_ENABLED: '0' },
        cwd: draft,
      });
      await run([join(draft, 'temporal'), '--version'], { ...running, failure: 'LS-STACK-FETCH' });
    });
    const file = join(folder, 'temporal');
    return { command: [file], version: await versionOf(file), origin: folder };
  },

  launch(program: Program, site: Site): Launch {
    return {
      command: [...program.command, ...temporalArguments(site.ports.temporal, site.ports.temporalUi)],
      cwd: site.folder,
    };
  },

  async prepare(site: Site) {
    const connection = await Connection.connect({ address: `127.0.0.1:${site.ports.temporal}`, connectTimeout: 2000 });
    try {
      const deadline = Date.now() + 5000;
      return await connection.withDeadline(deadline, async () => {
        await connection.workflowService.describeNamespace({ namespace });
        await requireSearchAttributes(connection);
        await requireUi(site.ports.temporalUi);
        const { serverVersion } = await connection.workflowService.getSystemInfo({});
        return parseVersion(serverVersion);
      });
    } finally {
      await connection.close();
    }
  },
};
