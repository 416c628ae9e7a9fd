/** A small real fleet behind a server that serves the page: its agents seal, answer, open and release for as long as it runs. */
import { existsSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { perturbAdapter } from '../../../lib/adapter/synthetic.js';
import { OwnerAgent } from '../../../lib/agents/owner/owner-agent.js';
import { Robot } from '../../../lib/agents/robot/robot.js';
import { type AgentContext, runAgent } from '../../../lib/agents/run-agent.js';
import { type RunOptions, runCustodian } from '../../../lib/agents/run-roles.js';
import { Shutdown } from '../../../lib/agents/shutdown.js';
import { readPage } from '../../../lib/dashboard/page-files.js';
import type { PersonRole } from '../../../lib/server/auth/actor.js';
import { StoredTokens } from '../../../lib/server/auth/stored-tokens.js';
import { BearerTokens } from '../../../lib/server/auth/tokens.js';
import { type RoundStatus, roundStatusSchema } from '../../../lib/server/rounds/round-status.js';
import type { Service } from '../../../lib/server/service.js';
import { CollectedLog, eventually } from '../../agents/support/collected-log.js';
import { type ServedFleetOptions, ServedTestFleet } from '../../server/support/served-fleet.js';

const quick = { pollMs: 300, wakeSpreadMs: 1, backoff: { firstDelayMs: 10, maxDelayMs: 50 } };
const roundList = z.object({ rounds: z.array(z.object({ plan: z.string(), round: z.int() })) });

export class LiveFleet {
  readonly logs: CollectedLog[] = [];
  readonly #running: { readonly shutdown: Shutdown; readonly ended: Promise<void> }[] = [];
  #port = 0;
  #ownerClockOffsetMs = 0;

  private constructor(readonly fleet: ServedTestFleet) {}

  static async start(clients: number, adapter?: ServedFleetOptions): Promise<LiveFleet> {
    const live = new LiveFleet(await ServedTestFleet.create(clients, adapter));
    await live.serve();
    live.#port = Number(new URL(live.address).port);
    return live;
  }

  get address(): string {
    return this.fleet.service.address;
  }

  /** On the same port as before, where it was stopped. */
  async serve(): Promise<Service> {
    return this.fleet.start({ page: await readPage(), port: this.#port });
  }

  async stop(): Promise<void> {
    for (const { shutdown } of this.#running) shutdown.stop();
    await Promise.all(this.#running.map(({ ended }) => ended));
    await this.fleet.stop();
  }

  get #tokens(): StoredTokens {
    return new StoredTokens(this.fleet.service.context.store.state);
  }

  async token(role: PersonRole, name: string): Promise<{ readonly token: string; readonly id: string }> {
    return new BearerTokens(this.#tokens).create(name, role, 1);
  }

  /** As if its time had come. */
  async expire(id: string): Promise<void> {
    const stored = await this.#tokens.get(id);
    if (stored === undefined) throw new Error('no such token');
    await this.#tokens.put({ ...stored, expiresMs: Date.now() - 1 });
  }

  runOwner(deadlineMs: number): void {
    const ownerDirectory = this.fleet.role('owner');
    this.#run((options) =>
      runAgent({ ...options, ...quick, role: 'owner', roleDirectory: ownerDirectory }, (context) =>
        OwnerAgent.open(
          {
            ownerDirectory,
            coordinatorDirectory: this.fleet.role('coordinator'),
            policyName: 'balanced',
            outDirectory: this.fleet.at('averages'),
            like: this.fleet.adapter(1),
            base: this.fleet.at('adapters', 'start'),
            verify: true,
            release: 'auto',
            deadlineMs,
            rolePolicy: { environment: {} },
          },
          { ...context, now: () => Date.now() + this.#ownerClockOffsetMs },
        ),
      ),
    );
  }

  runCustodians(count: number): void {
    for (let number = 1; number <= count; number += 1) {
      const custodianDirectory = this.fleet.role(`custodian-${number}`);
      this.#run((options) => runCustodian({ ...options, ...quick }, { custodianDirectory, rotate: false }));
    }
  }

  async runRobot(number: number): Promise<void> {
    const roleDirectory = this.fleet.role(`client-${number}`);
    const training = this.fleet.at('training', `${number}`);
    await cp(this.fleet.adapter(number), training, { recursive: true });
    this.#run((options) =>
      runAgent({ ...options, ...quick, role: 'client', roleDirectory }, (context: AgentContext) =>
        Robot.open(
          {
            clientDirectory: roleDirectory,
            adapterDirectory: training,
            baseDirectory: this.fleet.at('adapters', 'start'),
            releaseDirectory: this.fleet.at('releases', `${number}`),
            quietMs: 0,
            client: { environment: {} },
          },
          context,
        ),
      ),
    );
  }

  /** From what was released, where each robot's trainer writes. */
  async trainAgain(robots: number): Promise<void> {
    for (let number = 1; number <= robots; number += 1) {
      const release = this.fleet.at('releases', `${number}`);
      await eventually(`a release at robot ${number}`, () => existsSync(release), this.logs);
      const next = this.fleet.at('training', `${number}-next`);
      await perturbAdapter(release, next, { seed: `second training of ${number}` });
      await rm(join(next, 'README.md'), { force: true });
      await cp(next, this.fleet.at('training', `${number}`), { recursive: true });
    }
  }

  /** The envelope's interval is an hour; the owner's clock goes ahead. */
  passAnHour(): void {
    this.#ownerClockOffsetMs += 3_600_000;
  }

  async statusOf(round: number): Promise<RoundStatus | undefined> {
    const owner = await this.fleet.api('owner');
    const { rounds } = await owner.getJson('/v1/rounds', roundList);
    const found = rounds.find((each) => each.round === round);
    return found && owner.getJson(`/v1/rounds/${found.plan}`, roundStatusSchema);
  }

  async roundIs(round: number, phase: RoundStatus['phase']): Promise<void> {
    await eventually(
      `round ${round} as ${phase}`,
      async () => (await this.statusOf(round))?.phase === phase,
      this.logs,
    );
  }

  #run(start: (options: RunOptions & { log: CollectedLog }) => Promise<void>): void {
    const log = new CollectedLog();
    this.logs.push(log);
    const shutdown = new Shutdown(2000);
    this.#running.push({
      shutdown,
      ended: start({ server: this.address, log, shutdown, pollMs: 300, events: true }),
    });
  }
}
