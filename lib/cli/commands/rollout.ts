import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { RefusedError, UsageError } from '../../errors.js';
import { type RolloutStatus, rolloutStatusSchema } from '../../server/rollouts/rollout-status.js';
import { integerOption } from '../options.js';
import type { Output } from '../output.js';
import { type PersonOptions, personOptions } from '../person-client.js';
import { openPerson, rolloutLines, rolloutOf } from '../rollout-client.js';

const MAX_COUNTER = 2 ** 32 - 1;
const MAX_SECONDS = 2_592_000;

interface StartOptions extends PersonOptions {
  readonly canary?: number;
  readonly steps?: number[];
  readonly minimumSeconds?: number;
  readonly minimumEpisodes?: number;
  readonly failureLimit?: number;
  readonly telemetryTimeout?: number;
  readonly analysisInterval?: number;
  readonly rollbackTimeout?: number;
  readonly override?: string;
  readonly supersede?: boolean;
}

interface NamedOptions extends PersonOptions {
  readonly policyName?: string;
  readonly yes?: boolean;
}

function show(status: RolloutStatus, output: Output): void {
  output.result({ ...status }, rolloutLines(status));
}

/** Several numbers after one option. */
function percentOption(text: string, before: number[] = []): number[] {
  return [...before, integerOption(1, 100)(text)];
}

export function rolloutStartCommand(command: Command, output: () => Output): Command {
  return personOptions(command)
    .description('start the rollout of a published release; it waits for a passed verdict on its adapter')
    .argument('<counter>', 'the counter of the release', integerOption(1, MAX_COUNTER))
    .option('--canary <percent>', "of the clients, first (default: the policy's)", integerOption(5, 20))
    .option(
      '--steps <percent...>',
      'the steps after the canary (default: 25 50); 100 is the last one',
      percentOption,
    )
    .option('--minimum-seconds <s>', 'of each step (default: 3600)', integerOption(0, MAX_SECONDS))
    .option(
      '--minimum-episodes <n>',
      'before anything is concluded (default: 60)',
      integerOption(1, 1_000_000),
    )
    .option('--failure-limit <n>', 'failed analyses that a step survives (default: 1)', integerOption(0, 100))
    .option(
      '--telemetry-timeout <s>',
      'how long robots may be silent (default: 1800)',
      integerOption(1, MAX_SECONDS),
    )
    .option(
      '--analysis-interval <s>',
      'from one analysis to the next (default: 300)',
      integerOption(1, MAX_SECONDS),
    )
    .option('--rollback-timeout <s>', 'for robots to confirm (default: 86400)', integerOption(1, MAX_SECONDS))
    .option(
      '--override <adapter>',
      'fingerprint of an adapter that may come back although it was rolled back from',
    )
    .option('--supersede', 'take the place of a rollout that is not past its canary')
    .action(async (counter: number, options: StartOptions) => {
      const client = await openPerson(options);
      const analysis = {
        ...(options.minimumEpisodes !== undefined && { minimumEpisodes: options.minimumEpisodes }),
        ...(options.failureLimit !== undefined && { failureLimit: options.failureLimit }),
        ...(options.telemetryTimeout !== undefined && { telemetryTimeoutSeconds: options.telemetryTimeout }),
      };
      const body = {
        release: counter,
        canaryPercent: options.canary,
        percents: options.steps,
        minimumDurationSeconds: options.minimumSeconds,
        ...(Object.keys(analysis).length > 0 && { analysis }),
        analysisIntervalSeconds: options.analysisInterval,
        rollbackTimeoutSeconds: options.rollbackTimeout,
        override: options.override,
        supersede: options.supersede,
      };
      show(await client.post('/v1/rollouts', body, rolloutStatusSchema), output());
    });
}

function named(command: Command): Command {
  return personOptions(command)
    .argument(
      '[counter]',
      'the counter of its release (default: the newest rollout)',
      integerOption(1, MAX_COUNTER),
    )
    .option('--policy-name <name>', 'of which policy the newest one is meant');
}

export function rolloutStatusCommand(command: Command, output: () => Output): Command {
  return named(command)
    .description('where a rollout is, what its telemetry says, and who runs what')
    .action(async (counter: number | undefined, options: NamedOptions) => {
      show(await rolloutOf(await openPerson(options), counter, options.policyName), output());
    });
}

/** Asked on a terminal alone: a script has to say that it means it. */
async function confirm(question: string, yes: boolean | undefined): Promise<void> {
  if (yes === true) return;
  if (!process.stdin.isTTY) {
    throw new UsageError('usage.confirm', `${question} Say so with --yes: nobody can be asked here.`);
  }
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await lines.question(`${question} Type yes: `);
  lines.close();
  if (answer.trim() !== 'yes') throw new RefusedError('rollout.not-confirmed', 'Nothing was done.');
}

interface Decision {
  readonly name: 'pause' | 'resume' | 'promote' | 'abort' | 'rollback';
  readonly description: string;
  /** Names what is seen now: what changes between the look and the command is not waved through. */
  readonly body: (status: RolloutStatus) => Readonly<Record<string, unknown>>;
  readonly question?: (status: RolloutStatus) => string;
}

const DECISIONS: Readonly<Record<Decision['name'], Decision>> = {
  pause: { name: 'pause', description: 'offer the release to nobody more', body: () => ({}) },
  resume: { name: 'resume', description: 'go on with a paused step', body: ({ reason }) => ({ reason }) },
  promote: {
    name: 'promote',
    description: 'go to the next step now, whatever its minimum duration',
    body: ({ step }) => ({ fromStep: step?.index ?? 0 }),
  },
  abort: {
    name: 'abort',
    description: 'give a release up; robots that have it go back',
    body: () => ({}),
    question: ({ rollout, clients }) =>
      `Release ${rollout} is given up, and ${clients.offered} robots go back.`,
  },
  rollback: {
    name: 'rollback',
    description: 'go back to the release before, at every robot',
    body: () => ({}),
    question: ({ rollout, previous }) =>
      `Every robot goes back from release ${rollout} to ${previous.counter}'s adapter.`,
  },
};

export function rolloutDecisionCommand(name: Decision['name']) {
  const { description, body, question } = DECISIONS[name];
  return (command: Command, output: () => Output): Command => {
    named(command).description(description);
    if (question !== undefined) command.option('--yes', 'do not ask');
    return command.action(async (counter: number | undefined, options: NamedOptions) => {
      const client = await openPerson(options);
      const status = await rolloutOf(client, counter, options.policyName);
      if (question !== undefined) await confirm(question(status), options.yes);
      const path = `/v1/rollouts/${status.rollout}/${name}`;
      show(await client.post(path, body(status), rolloutStatusSchema), output());
    });
  };
}
