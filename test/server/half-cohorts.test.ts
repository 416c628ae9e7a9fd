import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { z } from 'zod';
import { OwnerAgent } from '../../lib/agents/owner/owner-agent.js';
import { runAgent } from '../../lib/agents/run-agent.js';
import { runCustodian } from '../../lib/agents/run-roles.js';
import { Shutdown } from '../../lib/agents/shutdown.js';
import { openKeyStore } from '../../lib/custody/role-directory.js';
import { openContainer } from '../../lib/package/reader.js';
import { type RoundStatus, roundStatusSchema } from '../../lib/server/rounds/round-status.js';
import { workSchema } from '../../lib/server/routes/work.js';
import { CollectedLog, eventually } from '../agents/support/collected-log.js';
import { signAgain } from '../round/support/forgery.js';
import { ServedTestFleet } from './support/served-fleet.js';

const ROBOTS = 6;
const SPOILER = 5;
const HOUR_MS = 3_600_000;
const quick = { pollMs: 200, wakeSpreadMs: 1, backoff: { firstDelayMs: 10, maxDelayMs: 50 } };
const listed = z.object({
  rounds: z.array(z.object({ plan: z.string(), round: z.int(), cohort: z.string() })),
});

describe('a round that one client has spoilt', function () {
  this.timeout(180_000);

  let fleet: ServedTestFleet;
  let clockOffsetMs = 0;
  const logs: CollectedLog[] = [];
  const shutdown = new Shutdown(2000);
  const running: Promise<void>[] = [];

  before(async () => {
    fleet = await ServedTestFleet.create(ROBOTS);
    const { address: server } = await fleet.start();
    const run = () => {
      const log = new CollectedLog();
      logs.push(log);
      return { ...quick, server, log, shutdown };
    };
    const ownerDirectory = fleet.role('owner');
    running.push(
      runAgent({ ...run(), role: 'owner', roleDirectory: ownerDirectory }, (context) =>
        OwnerAgent.open(
          {
            ownerDirectory,
            coordinatorDirectory: fleet.role('coordinator'),
            policyName: 'balanced',
            outDirectory: fleet.at('averages'),
            like: fleet.at('adapters', 'start'),
            release: 'manual',
            deadlineMs: 60_000,
            answerPatienceMs: 0,
            rolePolicy: { environment: {} },
          },
          { ...context, now: () => Date.now() + clockOffsetMs },
        ),
      ),
      ...[1, 2, 3].map((number) =>
        runCustodian(run(), { custodianDirectory: fleet.role(`custodian-${number}`), rotate: false }),
      ),
    );
  });
  after(async () => {
    shutdown.stop();
    await Promise.all(running);
    await fleet.stop();
  });

  async function roundsOf(round: number): Promise<RoundStatus[]> {
    const owner = await fleet.api('owner');
    const { rounds } = await owner.getJson('/v1/rounds', listed);
    const found = rounds.filter((each) => each.round === round);
    return Promise.all(found.map(({ plan }) => owner.getJson(`/v1/rounds/${plan}`, roundStatusSchema)));
  }

  async function sealOf(number: number): Promise<{ readonly plan: string; readonly cohort: string }[]> {
    const { items } = await (await fleet.api(`client-${number}`)).getJson('/v1/work', workSchema);
    return items.flatMap((item) => (item.kind === 'seal' ? [{ plan: item.plan, cohort: item.cohort }] : []));
  }

  /** Seals for the one round that takes this client, and sends it: one of them sends noise, validly signed. */
  async function send(number: number, round: number): Promise<string> {
    const [item, ...others] = await sealOf(number);
    expect(others).to.deep.equal([]);
    const { plan = '', cohort = '' } = item ?? {};
    const api = await fleet.api(`client-${number}`);
    const planPath = fleet.at(`${round}-${number}.tgp`);
    await writeFile(planPath, await api.getBytes(`/v1/rounds/${plan}/plan`, 20_000_000));
    let { path, update } = await fleet.seal(number, planPath, round);
    if (number === SPOILER) ({ path, update } = await spoilt(path, round));
    await api.putFile(`/v1/rounds/${plan}/updates/${update}`, path, z.unknown());
    return cohort;
  }

  async function spoilt(path: string, round: number): Promise<{ path: string; update: string }> {
    const keys = await openKeyStore(fleet.role(`client-${SPOILER}`));
    const signer = await keys.signing();
    keys.close();
    const container = await openContainer(path, 'update');
    const ciphertext = new Uint8Array(randomBytes(container.header.sections[0]?.length ?? 0));
    await container.close();
    const out = fleet.at(`spoilt-${round}.tgu`);
    await writeFile(out, await signAgain('update', path, signer, { sections: { ciphertext } }));
    const again = await openContainer(out, 'update');
    await again.close();
    return { path: out, update: Buffer.from(again.fingerprint).toString('hex') };
  }

  it('opens nothing, and goes on as two cohorts that are planned with half of the clients each', async () => {
    await eventually('a first round', async () => (await roundsOf(1)).length === 1, logs);
    for (let number = 1; number <= ROBOTS; number += 1) expect(await send(number, 1)).to.equal('all');
    await eventually('its end', async () => (await roundsOf(1))[0]?.phase === 'failed', logs);
    const [burnt] = await roundsOf(1);
    expect(burnt?.failure?.code).to.equal('burnt');
    expect(burnt?.close).to.include({ opened: false });
    // The envelope's interval is an hour.
    expect(await roundsOf(2)).to.deep.equal([]);
    clockOffsetMs = HOUR_MS;
    await eventually('two rounds', async () => (await roundsOf(2)).length === 2, logs);
    const halves = await roundsOf(2);
    expect(halves.map(({ eligible, quorum }) => [eligible, quorum])).to.deep.equal([
      [3, 3],
      [3, 3],
    ]);
  });

  it('opens the half without that client, and names the half with it, which cannot be split above the quorum', async () => {
    const cohorts = new Map<number, string>();
    for (let number = 1; number <= ROBOTS; number += 1) cohorts.set(number, await send(number, 2));
    const bad = cohorts.get(SPOILER) ?? '';
    const suspects = [...cohorts]
      .filter(([, cohort]) => cohort === bad)
      .map(([number]) => fleet.clientId(number));
    expect(suspects).to.have.length(3);
    expect(new Set(cohorts.values()).size).to.equal(2);
    await eventually(
      'the ends of both halves',
      async () => {
        const rounds = await roundsOf(2);
        return rounds.every(({ close }) => close !== undefined);
      },
      logs,
    );
    const [opened, failed] = [
      (await roundsOf(2)).find(({ cohort }) => cohort !== bad),
      (await roundsOf(2)).find(({ cohort }) => cohort === bad),
    ];
    expect(opened?.phase).to.equal('opened');
    expect(opened?.aggregate).to.include({ accepted: 3 });
    expect(failed?.failure?.code).to.equal('burnt');
    const { items } = await (await fleet.api('owner')).getJson('/v1/work', workSchema);
    const suspend = items.find((item) => item.kind === 'suspend');
    expect(suspend?.kind === 'suspend' && [...suspend.clients].sort()).to.deep.equal(suspects.sort());
    for (const suspect of suspects) expect(failed?.failure?.message).to.include(suspect);
    // Those who were cleared go on where they came from.
    const next = items.find((item) => item.kind === 'plan' && item.round === 3);
    expect(next).to.include({ cohort: 'all' });
    await eventually('a word about the suspects', () => logs[0]?.named('owner.suspects').length === 1, logs);
  });
});
