import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

export interface SuiteServer extends AsyncDisposable {
  readonly baseUrl: string;
}

/** Starts the suite's own server on a free port, on a thread of its own so that neither side delays the other. */
export async function startServer(): Promise<SuiteServer> {
  const directory = await mkdtemp(join(tmpdir(), 'offloop-conformance-server-'));
  const worker = new Worker(fileURLToPath(import.meta.resolve('http-cache-tests/server/server.mjs')), {
    env: { npm_config_protocol: 'http', npm_config_port: '0', npm_config_pidfile: join(directory, 'pid') },
    stdout: true,
  });
  const port = await Promise.race([portOf(worker), failureOf(worker)]);
  worker.stdout.resume();
  return {
    baseUrl: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      await worker.terminate();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function portOf(worker: Worker): Promise<string> {
  for await (const line of createInterface({ input: worker.stdout })) {
    const port = /^Listening on .*:(\d+)\/$/.exec(line)?.[1];
    if (port !== undefined) return port;
  }
  throw new Error('the server of the suite ended without listening');
}

async function failureOf(worker: Worker): Promise<never> {
  const [error] = await once(worker, 'error');
  throw error;
}
