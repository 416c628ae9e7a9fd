/**
 * A fleet whose robots have their keys in memory: what a thousand directories would cost to make says nothing about the
 * service. Owner, coordinator, aggregator and custodians are whole.
 */
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { smolVlaConfig } from '../../lib/adapter/smolvla.js';
import { writeSyntheticAdapter } from '../../lib/adapter/synthetic.js';
import { SignedClient } from '../../lib/agents/http/signed-client.js';
import { openKeyStore, openRole, ROSTER_FILE } from '../../lib/custody/role-directory.js';
import type { TrustedPlan } from '../../lib/custody/trusted-plan.js';
import { readTrustedPlan } from '../../lib/custody/trusted-plan.js';
import { replaceFile } from '../../lib/files.js';
import { openContainer } from '../../lib/package/reader.js';
import { createSigningKey, type LocalSigningKey } from '../../lib/package/signing-key.js';
import { containerBytes, encodeContainer } from '../../lib/package/writer.js';
import type { Policy } from '../../lib/policy/policy.js';
import { presetPolicy } from '../../lib/policy/presets.js';
import { joinFleet } from '../../lib/round/enrolment/join-fleet.js';
import { createFleet } from '../../lib/round/fleet.js';
import { planRound } from '../../lib/round/plan-round.js';
import { adapterShapes } from './adapter-shapes.js';

export const CUSTODIANS = 4;
export const THRESHOLD = 3;
/** What the preset says; far below what arrives, so that a round of a slow machine is smaller, and not lost. */
export const QUORUM = 3;

export interface Robot {
  readonly number: number;
  readonly id: string;
  readonly signing: LocalSigningKey;
}

export interface PlannedRound {
  /** 64 hexadecimal digits. */
  readonly name: string;
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly trusted: TrustedPlan;
  readonly deadlineMs: number;
}

/** The most that the default parameter set holds of a thousand clients. */
export const BITS = 7;

export function soakPolicy(): Policy {
  const preset = presetPolicy('balanced');
  return { ...preset, training: { ...preset.training, bits: { min: BITS, max: BITS } } };
}

export class SoakFleet {
  private constructor(
    readonly directory: string,
    readonly robots: readonly Robot[],
  ) {}

  static async create(directory: string, robots: number, values: number): Promise<SoakFleet> {
    await createFleet({
      directory: join(directory, 'fleet'),
      name: 'soak',
      // Whoever is enrolled afterwards takes their place.
      clients: 2,
      custodians: CUSTODIANS,
      threshold: THRESHOLD,
      parameterSet: 'lwe-192',
      quorumFloor: QUORUM,
      maxUpdateBytes: 5_000_000,
      signatureAlgorithms: ['ed25519'],
      policyFile: { name: 'policy.json', text: `{"preset": "balanced", "training": {"bits": ${BITS}}}\n` },
      defaults: { parameterSet: 'lwe-192', preset: 'balanced' },
    });
    const fleet = new SoakFleet(
      directory,
      Array.from({ length: robots }, (_, number) => ({
        number,
        id: `robot-${String(number).padStart(4, '0')}`,
        signing: createSigningKey(),
      })),
    );
    await fleet.#enrol();
    await writeSyntheticAdapter(fleet.at('adapter'), {
      seed: 'soak',
      shapes: adapterShapes(values),
      config: smolVlaConfig(16),
    });
    return fleet;
  }

  at(...parts: string[]): string {
    return join(this.directory, ...parts);
  }

  role(name: string): string {
    return name.startsWith('custodian-') ? this.at('fleet', 'custodians', name) : this.at('fleet', name);
  }

  /** An aggregator's directory for one more server: on another machine it would have its own. */
  async aggregatorFor(server: number): Promise<string> {
    if (server === 0) return this.role('aggregator');
    const directory = this.at(`aggregator-${server}`);
    await cp(this.role('aggregator'), directory, { recursive: true });
    return directory;
  }

  /** What a member with a directory sends requests with: once, without attempts of its own. */
  async api(role: string, baseUrl: string): Promise<SignedClient> {
    const store = await openKeyStore(this.role(role));
    try {
      return new SignedClient({ baseUrl, key: await store.signing(), backoff: { maxAttempts: 1 } });
    } finally {
      store.close();
    }
  }

  async plan(round: number, deadlineMs: number): Promise<PlannedRound> {
    const { signing, roster, close } = await openRole(this.role('coordinator'), 'coordinator');
    close();
    const { body } = await planRound({
      roster,
      like: this.at('adapter'),
      policy: soakPolicy(),
      maxClients: this.robots.length,
      quorum: QUORUM,
      round,
      policyName: 'soak',
      cohort: 'all',
      parameterSet: 'lwe-192',
      deadline: deadlineMs,
    });
    const container = await encodeContainer({ kind: 'plan', body, sections: [], signer: signing });
    const bytes = containerBytes(container);
    const path = this.at(`${round}.tgp`);
    await replaceFile(path, bytes);
    const name = Buffer.from(container.envelope.fingerprint).toString('hex');
    return { name, path, bytes, trusted: await readTrustedPlan(bytes, roster), deadlineMs };
  }

  /** The next roster, with the robots in place of the clients that the fleet was made with. */
  async #enrol(): Promise<void> {
    const store = await openKeyStore(this.role('owner'), 'owner');
    const owner = await store.signing();
    store.close();
    const earlier = await openContainer(
      new Uint8Array(await readFile(join(this.role('owner'), ROSTER_FILE))),
      'roster',
    );
    const { body } = earlier;
    await earlier.close();
    const clients = this.robots.map(({ id, signing }) => ({
      id,
      keys: signing.publicKeys,
      status: 'active' as const,
    }));
    const file = containerBytes(
      await encodeContainer({
        kind: 'roster',
        body: { ...body, version: body.version + 1, clients },
        sections: [],
        signer: owner,
      }),
    );
    const custodians = Array.from({ length: CUSTODIANS }, (_, i) => `custodian-${i + 1}`);
    for (const role of ['owner', 'coordinator', 'aggregator', ...custodians]) {
      await joinFleet({ directory: this.role(role), file });
    }
  }
}
