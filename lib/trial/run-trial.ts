/**
 * One real round on one machine, to see that everything works: a throw-away fleet, the service on its HTTP, and the agents of
 * robots, custodians and owner as they run elsewhere. What comes out is held against what went in.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { TensorShape } from '../adapter/smolvla.js';
import { Shutdown } from '../agents/run-roles.js';
import { EnvironmentError, RefusedError } from '../errors.js';
import type { RoundState } from '../round/machine/state.js';
import type { LogOptions } from '../server/http/logging.js';
import type { ServedPage } from '../server/routes/page.js';
import { Service } from '../server/service.js';
import { newLines } from './round-story.js';
import { startAgents, type TrialAgents } from './trial-agents.js';
import { createTrialFleet, roleDirectory, type TrialFleet } from './trial-fleet.js';
import { checkLine, examine, sizesOf, type TrialReport } from './trial-report.js';

export interface TrialStep {
  /** Since the trial began. */
  readonly afterMs: number;
  readonly text: string;
}

export interface TrialOptions {
  /** New, or empty; the caller removes it. */
  readonly directory: string;
  readonly host: string;
  readonly port: number;
  readonly version: string;
  readonly log?: LogOptions;
  /** The dashboard's, for whoever looks around afterwards. */
  readonly page?: ServedPage | undefined;
  /** Called as it happens. */
  readonly onStep: (step: TrialStep) => void;
  /** What agents complain about. */
  readonly onTrouble: (line: string) => void;
  /** Ends a trial that has not come to its end. */
  readonly signal: AbortSignal;
  readonly robots?: number;
  readonly shapes?: readonly TensorShape[];
  readonly rank?: number;
  readonly timeoutMs?: number;
}

export interface Trial {
  readonly service: Service;
  readonly report: TrialReport;
  readonly steps: readonly TrialStep[];
}

const DEFAULT_ROBOTS = 4;
const DEFAULT_TIMEOUT_MS = 180_000;
const POLL_MS = 50;
const AGENT_GRACE_MS = 5_000;

/**
 * Runs one round. The service that it returns goes on serving: stop it.
 *
 * @throws RefusedError `trial.interrupted`; EnvironmentError `trial.not-finished`; VerificationError `trial.wrong-average`; what starting the service throws
 */
export async function runTrial(options: TrialOptions): Promise<Trial> {
  const started = performance.now();
  const steps: TrialStep[] = [];
  const tell = (text: string): void => {
    const step = { afterMs: Math.round(performance.now() - started), text };
    steps.push(step);
    options.onStep(step);
  };
  const { directory, robots = DEFAULT_ROBOTS, shapes, rank, host, port, version, page, log } = options;
  const fleet = await createTrialFleet({ directory, robots, shapes, rank });
  tell(
    `A fleet with keys of its own for each of ${robots} robots, ${fleet.custodians.length} custodians (${fleet.threshold} must agree), ` +
      'owner, coordinator and aggregator.',
  );
  const service = await Service.start({
    store: { kind: 'embedded', directory: join(directory, 'data') },
    aggregator: roleDirectory(fleet, 'aggregator'),
    policy: fleet.policy,
    ...{ host, port, version, page },
    ...(log !== undefined && { log }),
  });
  try {
    tell(`The service listens on ${service.address}; it holds no key that decrypts.`);
    const { plan, state } = await runRound(options, fleet, service, tell);
    const report = await examine(fleet, service, plan, state);
    tell(checkLine(report));
    return { service, steps, report: { ...report, milliseconds: Math.round(performance.now() - started) } };
  } catch (error) {
    await service.stop();
    throw error;
  }
}

interface FinishedRound {
  readonly plan: string;
  readonly state: RoundState;
}

/** From the first agent to the last robot's release. */
async function runRound(
  options: TrialOptions,
  fleet: TrialFleet,
  service: Service,
  tell: (text: string) => void,
): Promise<FinishedRound> {
  const shutdown = new Shutdown(AGENT_GRACE_MS);
  const agents = startAgents(fleet, service.address, shutdown, options.onTrouble);
  const ended = new AbortController();
  const following = followRound(options, service, agents, ended.signal, tell);
  try {
    return await Promise.race([following, ...agents.running.map((agent) => agent.then(() => following))]);
  } finally {
    ended.abort();
    shutdown.stop();
    await Promise.allSettled([following, ...agents.running]);
  }
}

async function followRound(
  { signal, timeoutMs = DEFAULT_TIMEOUT_MS }: TrialOptions,
  { context }: Service,
  { logs, robotLogs: robots }: TrialAgents,
  ended: AbortSignal,
  tell: (text: string) => void,
): Promise<FinishedRound> {
  let told: RoundState | undefined;
  for (const end = Date.now() + timeoutMs; !ended.aborted; await delay(POLL_MS)) {
    if (signal.aborted)
      throw new RefusedError('trial.interrupted', 'The trial was ended before its round was.');
    for await (const { plan, state } of context.rounds.list()) {
      if (state === told) continue;
      for (const line of await newLines(told, state, sizesOf(context, plan))) tell(line);
      told = state;
      if (state.phase === 'failed') {
        throw new EnvironmentError('trial.not-finished', `The round failed: ${state.failure?.message ?? ''}`);
      }
    }
    if (told?.phase === 'released' && robots.every((log) => log.has('robot.release'))) {
      tell(`Each of the ${robots.length} robots fetched the release, decrypted it and wrote the adapter.`);
      return { plan: told.settings.plan, state: told };
    }
    if (Date.now() > end) {
      const troubles = logs.flatMap(({ lastTrouble }) => lastTrouble ?? []);
      throw new EnvironmentError(
        'trial.not-finished',
        `The round did not end within ${Math.round(timeoutMs / 1000)} s; it is ${told?.phase ?? 'not planned'}. ${troubles.join(' ')}`,
      );
    }
  }
  throw new RefusedError('trial.interrupted', 'An agent of the trial ended before its round did.');
}
