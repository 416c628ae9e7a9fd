/**
 * The same through the package: sealed by every robot, summed by an aggregator that sees ciphertexts, opened by an owner
 * with the answers of three custodians. Every role has keys and state of its own, as it would on a machine of its own.
 */
import { mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { replaceFile } from '../../../lib/files.js';
import {
  aggregateUpdates,
  answerRound,
  closeRound,
  createFleet,
  openContainer,
  openCustodian,
  openRole,
  openRound,
  planRound,
  presetPolicy,
  readRolePolicy,
  readTrustedPlan,
  sealUpdate,
  writeContainer,
} from '../../../lib/index.js';
import { openClient } from '../../../lib/round/client-directory.js';
import { openOwner } from '../../../lib/round/owner-directory.js';
import type { Federation, RoundFacts, RoundInput, StartInput } from './federation.js';
import { FleetDirectories } from './fleet-directories.js';
import { writeOwnStart } from './own-start.js';
import { writeUnclippedUpdate } from './unclipped-update.js';

const CUSTODIANS = 4;
const THRESHOLD = 3;
const PRESET = 'balanced';
export const POLICY_NAME = 'pick-and-place';
const PARAMETER_SET = 'lwe-192';
/** No environment: the same rounds on every machine. */
export const ROLE_OPTIONS = { environment: {} };

export interface EncryptedFleetOptions {
  /** New or empty. */
  readonly directory: string;
  readonly robots: number;
  readonly quorum: number;
  /** Settings over those of the preset, as a policy file writes them. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Whether robots train from the release and what they owe, or from the release alone. */
  readonly trainsFromOwed?: boolean;
}

interface Sealed {
  readonly file: string;
  readonly clipFactor: number;
  readonly saturatedValues: number;
  readonly epsilonSpent?: number | undefined;
}

export class EncryptedFleet implements Federation {
  readonly roles: FleetDirectories;

  private constructor(private readonly options: EncryptedFleetOptions) {
    this.roles = new FleetDirectories(join(options.directory, 'fleet'), options.robots);
  }

  /** A fleet whose directory was made before, or is a copy of one. */
  static open(options: EncryptedFleetOptions): EncryptedFleet {
    return new EncryptedFleet(options);
  }

  /** Makes the keys, once; rounds use them. */
  static async create(options: EncryptedFleetOptions): Promise<EncryptedFleet> {
    await createFleet({
      directory: join(options.directory, 'fleet'),
      name: 'mujoco',
      clients: options.robots,
      custodians: CUSTODIANS,
      threshold: THRESHOLD,
      parameterSet: PARAMETER_SET,
      quorumFloor: options.quorum,
      maxUpdateBytes: presetPolicy(PRESET).envelope.maxUpdateBytes,
      signatureAlgorithms: ['ed25519'],
      policyFile: {
        name: 'policy.json',
        text: `${JSON.stringify({ preset: PRESET, ...options.settings }, null, 2)}\n`,
      },
      defaults: { parameterSet: PARAMETER_SET, preset: PRESET },
    });
    return new EncryptedFleet(options);
  }

  /** Where the signed plan of a round is. */
  planFile(round: number): string {
    return join(this.options.directory, `round-${round}`, 'round.tgp');
  }

  async starts({ round, release, directory }: StartInput): Promise<readonly string[]> {
    const { robots, trainsFromOwed } = this.options;
    const all = Array.from({ length: robots }, (_, robot) => robot);
    if (trainsFromOwed !== true || round === 1) return all.map(() => release);
    const { roster, close } = await openRole(this.roles.coordinator, 'coordinator');
    try {
      const lastPlan = await readTrustedPlan(this.planFile(round - 1), roster);
      const starts: string[] = [];
      for (const robot of all) {
        const out = join(directory, `start-${robot + 1}`);
        await writeOwnStart({ clientDirectory: this.roles.client(robot), lastPlan, release, out });
        starts.push(out);
      }
      return starts;
    } finally {
      close();
    }
  }

  async average(input: RoundInput): Promise<RoundFacts> {
    const plan = this.planFile(input.round);
    const round = dirname(plan);
    await mkdir(round);
    const aggregate = join(round, 'round.tga');
    await this.plan(input, plan);
    const sealed: Sealed[] = [];
    for (const [i, adapter] of input.trained.entries()) sealed.push(await this.seal(i, plan, adapter, input));
    const updates = sealed.map(({ file }) => file);
    await this.aggregate(plan, updates, aggregate);
    const answers: string[] = [];
    for (let i = 1; i <= THRESHOLD; i += 1) {
      const answer = join(round, `custodian-${i}.tgs`);
      await this.answer(i, plan, aggregate, answer);
      answers.push(answer);
    }
    const closed = join(round, 'round.tgc');
    await this.open({ plan, aggregate, answers, updates, closed }, input);
    const facts = await this.facts(plan, sealed);
    // A client deletes the update that it sealed once the close record says that it was opened.
    for (const i of updates.keys()) if (input.unclipped?.has(i) !== true) await this.settle(i, closed);
    return facts;
  }

  private async plan({ round, release, pilot }: RoundInput, out: string): Promise<void> {
    const { signing, roster, close } = await openRole(this.roles.coordinator, 'coordinator');
    try {
      const { policy } = await readRolePolicy(this.roles.coordinator, ROLE_OPTIONS);
      const { body } = await planRound({
        roster,
        like: pilot,
        base: release,
        policy,
        maxClients: this.options.robots,
        quorum: this.options.quorum,
        round,
        policyName: POLICY_NAME,
        cohort: 'all',
        parameterSet: PARAMETER_SET,
      });
      await writeContainer(out, { kind: 'plan', body, sections: [], signer: signing });
    } finally {
      close();
    }
  }

  private async seal(robot: number, planPath: string, adapter: string, input: RoundInput): Promise<Sealed> {
    const base = input.own?.[robot] ?? input.release;
    const { client, roster, close } = await openClient(this.roles.client(robot), ROLE_OPTIONS);
    try {
      const plan = await readTrustedPlan(planPath, roster);
      if (input.unclipped?.has(robot) === true) {
        const out = `${planPath}.${client.id}.tgu`;
        const saturatedValues = await writeUnclippedUpdate({
          client,
          plan,
          adapter,
          base,
          out,
        });
        return { file: out, clipFactor: 1, saturatedValues };
      }
      const { stored, report } = await sealUpdate({ client, plan, adapter, base });
      if (report === undefined)
        throw new TypeError(`${client.id} had sealed for round ${input.round} before`);
      const { clipFactor, saturatedValues, epsilonSpent } = report;
      return { file: stored, clipFactor, saturatedValues, epsilonSpent };
    } finally {
      close();
    }
  }

  private async aggregate(planPath: string, updates: readonly string[], out: string): Promise<void> {
    const directory = this.roles.aggregator;
    const { id, signing, roster, close } = await openRole(directory, 'aggregator');
    try {
      const { policy } = await readRolePolicy(directory, ROLE_OPTIONS);
      const plan = await readTrustedPlan(planPath, roster);
      await aggregateUpdates({ plan, policy, aggregatorId: id, signing, updates, strict: true, out });
    } finally {
      close();
    }
  }

  private async answer(index: number, planPath: string, aggregate: string, out: string): Promise<void> {
    const { custodian, role, close } = await openCustodian(this.roles.custodian(index));
    try {
      const plan = await readTrustedPlan(planPath, role.roster);
      const container = await openContainer(aggregate, 'aggregate');
      try {
        await replaceFile(out, (await answerRound(custodian, plan, container)).answer);
      } finally {
        await container.close();
      }
    } finally {
      close();
    }
  }

  /** Opens the round into the candidate, and closes it. */
  private async open(
    files: {
      readonly plan: string;
      readonly aggregate: string;
      readonly answers: readonly string[];
      readonly updates: readonly string[];
      readonly closed: string;
    },
    { release, out }: RoundInput,
  ): Promise<void> {
    const { owner, role } = await openOwner(this.roles.owner, ROLE_OPTIONS);
    try {
      const plan = await readTrustedPlan(files.plan, role.roster);
      const { aggregate, answers, updates: verify } = files;
      await openRound({ owner, plan, aggregate, answers, base: release, verify, out });
      const { record } = await closeRound(owner, plan, aggregate, undefined);
      await replaceFile(files.closed, record);
    } finally {
      role.close();
    }
  }

  /** The close record tells a client that its update was opened, so that what the round lost of it is sent later. */
  private async settle(robot: number, closePath: string): Promise<void> {
    const { client, roster, close } = await openClient(this.roles.client(robot), ROLE_OPTIONS);
    try {
      const container = await openContainer(closePath, 'close');
      try {
        await container.verify(roster.body.owner.keys, roster.body.signatureAlgorithms);
        const { plan, opened } = container.body;
        await client.state.recordClose({ plan, opened });
      } finally {
        await container.close();
      }
    } finally {
      close();
    }
  }

  private async facts(planPath: string, sealed: readonly Sealed[]): Promise<RoundFacts> {
    const { roster, close } = await openRole(this.roles.coordinator, 'coordinator');
    try {
      const { body } = await readTrustedPlan(planPath, roster);
      const spent = sealed.flatMap(({ epsilonSpent }) => epsilonSpent ?? []);
      return {
        updateBytes: (await stat((sealed[0] as Sealed).file)).size,
        clip: body.clip,
        clipFactors: sealed.map(({ clipFactor }) => clipFactor),
        saturatedValues: sealed.reduce((sum, { saturatedValues }) => sum + saturatedValues, 0),
        ...(spent.length > 0 && { epsilonSpent: Math.max(...spent) }),
      };
    } finally {
      close();
    }
  }
}
