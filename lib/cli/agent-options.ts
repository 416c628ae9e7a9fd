/** The options that the commands of all agents have. */
import { type Command, Option } from 'commander';
import { type LogFormat, lineLog } from '../agents/agent-log.js';
import type { RunOptions } from '../agents/run-roles.js';
import { Shutdown, stoppingOnSignals } from '../agents/shutdown.js';
import { tracingFrom } from '../observability/otlp/otlp-tracing.js';
import type { Service } from '../observability/otlp/resource.js';
import { integerOption } from './options.js';
import { packageVersion } from './version.js';

export interface AgentCommandOptions {
  readonly server: string;
  readonly pollSeconds: number;
  readonly events: boolean;
  readonly log: LogFormat;
}

const DEFAULT_POLL_SECONDS = 30;
const MAX_POLL_SECONDS = 3600;

export function agentOptions(command: Command): Command {
  return command
    .requiredOption('--server <url>', 'the service, such as https://fleet.example.com')
    .option(
      '--poll-seconds <s>',
      'how often to ask what there is to do',
      integerOption(1, MAX_POLL_SECONDS),
      DEFAULT_POLL_SECONDS,
    )
    .option('--no-events', "do not listen to the service's events; polling alone")
    .addOption(
      new Option('--log <format>', 'lines on standard error').choices(['json', 'text']).default('json'),
    );
}

/** Runs an agent until SIGTERM or SIGINT; the second one gives up what it waits for. */
export async function runUntilStopped(
  { server, pollSeconds: seconds, events, log }: AgentCommandOptions,
  role: Service['role'],
  run: (options: RunOptions) => Promise<void>,
): Promise<void> {
  const shutdown = new Shutdown();
  const tracing = await tracingFrom(process.env, { role, version: packageVersion() });
  await stoppingOnSignals(shutdown, () =>
    run({
      server,
      log: lineLog(log, (line) => process.stderr.write(`${line}\n`)),
      shutdown,
      tracing,
      pollMs: seconds * 1000,
      events,
    }),
  );
}
