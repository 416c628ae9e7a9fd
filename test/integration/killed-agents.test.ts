/** Agents as processes of their own, killed at any moment, as robots that lose power are. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { RoundState } from '../../lib/round/machine/state.js';
import { planOf } from '../../lib/server/context.js';
import { checkRounding } from '../../lib/trial/rounding-check.js';
import { ServedTestFleet } from '../server/support/served-fleet.js';
import { randomFrom } from '../support/random.js';

const PROGRAM = fileURLToPath(new URL('../../bin/tensorguard-native.js', import.meta.url));
const ROBOTS = [1, 2, 3];
const CUSTODIANS = [1, 2, 3, 4];
const KILLS = 14;
const LIMIT_MS = 150_000;

/** One agent, started again whenever it is killed. */
class AgentProcess {
  #child: ChildProcess;
  readonly log: string[] = [];

  constructor(
    readonly name: string,
    private readonly parameters: readonly string[],
  ) {
    this.#child = this.#start();
  }

  #start(): ChildProcess {
    const child = spawn(process.execPath, [PROGRAM, ...this.parameters], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => this.log.push(text));
    const kill = (): boolean => child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('exit', () => process.removeListener('exit', kill));
    return child;
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  /** As a service manager does. */
  async killAndStart(): Promise<void> {
    // One that has ended by itself is a failure that its log explains.
    expect(this.#child.exitCode, `${this.name}: ${this.log.join('').slice(-2000)}`).to.equal(null);
    await this.kill();
    this.#child = this.#start();
  }
}

describe('robots, custodians and owner that are killed again and again', function () {
  this.timeout(LIMIT_MS + 60_000);

  const seed = randomInt(2 ** 31);
  const random = randomFrom(seed);
  const agents: AgentProcess[] = [];
  let fleet: ServedTestFleet;

  before(async () => {
    fleet = await ServedTestFleet.create(ROBOTS.length);
    await fleet.start();
  });
  after(async () => {
    await Promise.all(agents.map((agent) => agent.kill()));
    await fleet.stop();
  });

  const trainingOf = (number: number): string => fleet.at('training', `${number}`);
  const releasesOf = (number: number): string => fleet.at('releases', `${number}`);

  async function startAgents(): Promise<void> {
    const run = ['--server', fleet.service.address, '--poll-seconds', '1'];
    const base = fleet.at('adapters', 'start');
    agents.push(
      new AgentProcess('owner', [
        ...[
          'owner',
          'run',
          ...run,
          '--owner',
          fleet.role('owner'),
          '--coordinator',
          fleet.role('coordinator'),
        ],
        ...['--policy-name', 'balanced', '--out-dir', fleet.at('averages'), '--like', fleet.adapter(1)],
        ...['--base', base, '--verify', '--release', 'auto', '--deadline-minutes', '30'],
      ]),
    );
    for (const number of CUSTODIANS) {
      const directory = fleet.role(`custodian-${number}`);
      agents.push(
        new AgentProcess(`custodian-${number}`, ['custodian', 'run', ...run, '--custodian', directory]),
      );
    }
    for (const number of ROBOTS) {
      await cp(fleet.adapter(number), trainingOf(number), { recursive: true });
      agents.push(
        new AgentProcess(`robot-${number}`, [
          ...[
            'robot',
            'run',
            ...run,
            '--client',
            fleet.role(`client-${number}`),
            '--adapter',
            trainingOf(number),
          ],
          ...['--base', base, '--release-dir', releasesOf(number), '--quiet-seconds', '1'],
        ]),
      );
    }
  }

  async function theRound(): Promise<{ readonly plan: string; readonly state: RoundState } | undefined> {
    const found: { readonly plan: string; readonly state: RoundState }[] = [];
    for await (const round of fleet.service.context.rounds.list()) found.push(round);
    expect(found.length, 'one round, whoever planned it twice').to.be.at.most(1);
    return found[0];
  }

  async function keysBelow(prefix: string): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of fleet.service.context.store.state.list(prefix)) keys.push(key);
    return keys;
  }

  it(`end their round all the same, with one update, one answer and one record each (seed ${seed})`, async () => {
    await startAgents();
    let kills = 0;
    const hasEnded = (): boolean =>
      ROBOTS.every((number) => existsSync(join(releasesOf(number), 'adapter_model.safetensors')));
    for (const end = Date.now() + LIMIT_MS; !hasEnded() && Date.now() < end; ) {
      await delay(200 + 900 * random());
      if (kills >= KILLS) continue;
      const victim = agents[Math.floor(random() * agents.length)] as AgentProcess;
      await victim.killAndStart();
      kills += 1;
    }
    const logs = agents.map(({ name, log }) => `${name}: ${log.join('').slice(-1500)}`).join('\n');
    expect(hasEnded(), logs).to.equal(true);
    expect(kills).to.be.greaterThan(5);

    const { plan, state } = (await theRound()) ?? {};
    if (plan === undefined || state === undefined) throw new Error('there is no round');
    expect(state.phase).to.be.oneOf(['opened', 'released']);
    // No double seal: each client has begun one update, and replaced none.
    const uploads = await keysBelow(`upload.${plan}`);
    expect(uploads).to.have.length(ROBOTS.length);
    expect(state.members.map(({ update, replaced }) => [update?.refused, replaced])).to.deep.equal(
      ROBOTS.map(() => [undefined, undefined]),
    );
    expect([state.refusals, state.custodianRefusals]).to.deep.equal([[], []]);
    // No double answer: none that was ever sent is another one than the first.
    const answers = await keysBelow(`answer.${plan}`);
    const custodians = answers.map((key) => key.split('.')[2]);
    expect(new Set(custodians).size).to.equal(custodians.length);
    expect(custodians.length).to.be.at.least(3);
    expect(await keysBelow(`close.${plan}`)).to.have.length(1);
    const records = (await readdir(join(fleet.role('owner'), 'rounds'))).filter((name) =>
      name.endsWith('.tgc'),
    );
    expect(records).to.have.length(1);

    const average = fleet.at('averages', '1');
    const trained = ROBOTS.map((number) => fleet.adapter(number));
    const trusted = await planOf(fleet.service.context, plan);
    const base = fleet.at('adapters', 'start');
    expect(await checkRounding({ base, trained }, trusted, average)).to.include({ outOfReach: 0 });
    const opened = await readFile(join(average, 'adapter_model.safetensors'));
    for (const number of ROBOTS) {
      const released = await readFile(join(releasesOf(number), 'adapter_model.safetensors'));
      expect(opened.equals(released), `robot ${number}`).to.equal(true);
    }
  });
});
