/** `server --try`: a throw-away fleet and one round of it, told as it happens; then a service to look around in. */
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPage } from '../dashboard/page-files.js';
import { StoredTokens } from '../server/auth/stored-tokens.js';
import { BearerTokens } from '../server/auth/tokens.js';
import type { LogOptions } from '../server/http/logging.js';
import { runTrial, type Trial } from '../trial/run-trial.js';
import type { Output } from './output.js';
import { packageVersion } from './version.js';

export interface TryOptions {
  readonly port: number;
  readonly log: LogOptions;
  /** End when the round has: for scripts. */
  readonly once: boolean;
}

const LOOPBACK = '127.0.0.1';
const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** @throws as `runTrial` does */
export async function tryServer({ port, log, once }: TryOptions, out: Output): Promise<void> {
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  for (const signal of SIGNALS) process.on(signal, stop);
  const directory = await mkdtemp(join(tmpdir(), 'tensorguard-try-'));
  // Private keys lie in it, if only a trial's: whatever ends the process takes them along.
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  process.once('exit', remove);
  try {
    const trial = await runTrial({
      ...{ directory, port, log, host: LOOPBACK, version: packageVersion() },
      page: await openPage(),
      onStep: ({ afterMs, text }) => out.say(`${(afterMs / 1000).toFixed(2).padStart(7)} s  ${text}`),
      onTrouble: (line) => out.warn(line),
      signal: stopping.signal,
    });
    try {
      out.result(documentOf(trial), [`The round took ${(trial.report.milliseconds / 1000).toFixed(1)} s.`]);
      if (once || stopping.signal.aborted) return;
      for (const line of await whatToLookAt(trial)) out.say(line);
      await new Promise<void>((resolve) => {
        stopping.signal.addEventListener('abort', () => resolve(), { once: true });
      });
    } finally {
      await trial.service.stop();
    }
  } finally {
    for (const signal of SIGNALS) process.off(signal, stop);
    process.off('exit', remove);
    remove();
  }
}

function documentOf({ service, report, steps }: Trial): Record<string, unknown> {
  const { comparison, ...rest } = report;
  const { relativeError, expectedRelativeError, cosine } = comparison;
  return { address: service.address, ...rest, relativeError, expectedRelativeError, cosine, steps };
}

async function whatToLookAt({ service, report }: Trial): Promise<string[]> {
  const tokens = new BearerTokens(new StoredTokens(service.context.store.state));
  const { token } = await tokens.create('server --try', 'viewer', 1);
  return [
    'It goes on serving until Ctrl-C, which removes all of it. To look around:',
    `  ${service.address}/, the dashboard, with the token ${token}`,
    `  ${service.address}/docs, the API; the round, for example:`,
    `  curl -H 'Authorization: Bearer ${token}' ${service.address}/v1/rounds/${report.plan}`,
  ];
}
