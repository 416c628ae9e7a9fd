/** A small real fleet on this machine, a service that serves it on loopback, and signed clients of its members. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { smolVlaConfig, type TensorShape } from '../../../lib/adapter/smolvla.js';
import { perturbAdapter, writeSyntheticAdapter } from '../../../lib/adapter/synthetic.js';
import type { BackoffOptions } from '../../../lib/agents/http/backoff.js';
import { SignedClient } from '../../../lib/agents/http/signed-client.js';
import { openKeyStore, openRole } from '../../../lib/custody/role-directory.js';
import { readTrustedPlan } from '../../../lib/custody/trusted-plan.js';
import { replaceFile } from '../../../lib/files.js';
import type { SafetyStatistics } from '../../../lib/package/messages/update.js';
import { containerBytes, encodeContainer } from '../../../lib/package/writer.js';
import type { Policy } from '../../../lib/policy/policy.js';
import { presetPolicy } from '../../../lib/policy/presets.js';
import { openClient } from '../../../lib/round/client-directory.js';
import { createFleet } from '../../../lib/round/fleet.js';
import { planRound } from '../../../lib/round/plan-round.js';
import { sealUpdate } from '../../../lib/round/seal-update.js';
import { Service, type ServiceOptions } from '../../../lib/server/service.js';
import { RANK, SMALL_SHAPES } from '../../cli/support/small-round.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

const NO_WAITING: Partial<BackoffOptions> = { maxAttempts: 1 };

export function smallPolicy(): Policy {
  return presetPolicy('balanced');
}

export interface PlannedFile {
  readonly bytes: Uint8Array;
  /** 64 hexadecimal digits. */
  readonly plan: string;
  readonly path: string;
}

export interface ServedFleetOptions {
  /** Of the adapters; small ones unless told. */
  readonly shapes?: readonly TensorShape[];
  readonly rank?: number;
  readonly gateways?: number;
}

export class ServedTestFleet {
  readonly directory: string;
  readonly clients: number;
  #service: Service | undefined;
  #elsewhere: string | undefined;

  private constructor(directory: string, clients: number) {
    this.directory = directory;
    this.clients = clients;
  }

  static async create(
    clients = 4,
    { shapes = SMALL_SHAPES, rank = RANK, gateways = 0 }: ServedFleetOptions = {},
  ): Promise<ServedTestFleet> {
    const directory = await temporaryDirectory();
    await createFleet({
      directory: join(directory, 'fleet'),
      name: 'acme',
      clients,
      gateways,
      custodians: 4,
      threshold: 3,
      parameterSet: 'lwe-192',
      quorumFloor: 3,
      maxUpdateBytes: 5_000_000,
      signatureAlgorithms: ['ed25519'],
      policyFile: { name: 'policy.json', text: '{"preset": "balanced"}\n' },
      defaults: { parameterSet: 'lwe-192', preset: 'balanced' },
    });
    const fleet = new ServedTestFleet(directory, clients);
    await mkdir(fleet.at('adapters'));
    await writeSyntheticAdapter(fleet.at('adapters', 'start'), {
      seed: 'start',
      shapes,
      config: smolVlaConfig(rank),
    });
    for (let number = 1; number <= clients; number += 1) {
      await perturbAdapter(fleet.at('adapters', 'start'), fleet.adapter(number), { seed: `robot ${number}` });
    }
    return fleet;
  }

  at(...parts: string[]): string {
    return join(this.directory, ...parts);
  }

  clientId(number: number): string {
    return `client-${String(number).padStart(2, '0')}`;
  }

  adapter(number: number): string {
    return this.at('adapters', this.clientId(number));
  }

  role(
    name:
      | 'owner'
      | 'coordinator'
      | 'aggregator'
      | `gateway-${number}`
      | `client-${number}`
      | `custodian-${number}`,
  ): string {
    const [kind, number] = name.split('-');
    if (number === undefined) return this.at('fleet', name);
    return kind === 'client'
      ? this.at('fleet/clients', this.clientId(Number(number)))
      : this.at(`fleet/${kind}s`, name);
  }

  async start(options: Partial<ServiceOptions> = {}): Promise<Service> {
    this.#service = await Service.start({
      store: { kind: 'embedded', directory: this.at('data') },
      aggregator: this.role('aggregator'),
      policy: smallPolicy(),
      host: '127.0.0.1',
      port: 0,
      version: '0.0.0',
      log: { level: 'silent' },
      ...options,
    });
    return this.#service;
  }

  get service(): Service {
    if (this.#service === undefined) throw new Error('the service was not started');
    return this.#service;
  }

  /** The address of a server that is a process of its own, from now on; undefined for the one that `start` starts. */
  servedAt(address: string | undefined): void {
    this.#elsewhere = address;
  }

  async stop(): Promise<void> {
    await this.#service?.stop(2000);
    this.#service = undefined;
  }

  /** What a member's machine sends requests with. */
  async api(role: Parameters<ServedTestFleet['role']>[0]): Promise<SignedClient> {
    const store = await openKeyStore(this.role(role));
    try {
      return new SignedClient({
        baseUrl: this.#elsewhere ?? this.service.address,
        key: await store.signing(),
        backoff: NO_WAITING,
      });
    } finally {
      store.close();
    }
  }

  /** A plan for the newest roster, signed by the coordinator. */
  async plan(
    round: number,
    changes: { deadlineMs?: number; quorum?: number; cohort?: string } = {},
  ): Promise<PlannedFile> {
    const { signing, roster, close } = await openRole(this.role('coordinator'), 'coordinator');
    close();
    const { body } = await planRound({
      roster,
      like: this.at('adapters/start'),
      policy: smallPolicy(),
      maxClients: this.clients,
      quorum: changes.quorum ?? 3,
      round,
      policyName: 'balanced',
      cohort: changes.cohort ?? 'all',
      parameterSet: 'lwe-192',
      ...(changes.deadlineMs !== undefined && { deadline: Date.now() + changes.deadlineMs }),
    });
    const container = await encodeContainer({ kind: 'plan', body, sections: [], signer: signing });
    const bytes = containerBytes(container);
    const path = this.at(`${round}-${changes.cohort ?? 'all'}.tgp`);
    await replaceFile(path, bytes);
    return { bytes, path, plan: Buffer.from(container.envelope.fingerprint).toString('hex') };
  }

  /** A client's update for a plan: its file and its fingerprint. @param training another one has another delta */
  async seal(
    number: number,
    planPath: string,
    training = 1,
    safety?: SafetyStatistics,
  ): Promise<{ readonly path: string; readonly update: string }> {
    const opened = await openClient(this.role(`client-${number}`), { environment: {} });
    try {
      const plan = await readTrustedPlan(planPath, opened.roster);
      const adapter = training === 1 ? this.adapter(number) : this.at('adapters', `${number}-${training}`);
      if (training !== 1) {
        await perturbAdapter(this.at('adapters', 'start'), adapter, {
          seed: `robot ${number} training ${training}`,
        });
      }
      const { stored, update } = await sealUpdate({
        client: opened.client,
        plan,
        adapter,
        ...(safety !== undefined && { training: { safety } }),
      });
      return { path: stored, update: Buffer.from(update).toString('hex') };
    } finally {
      opened.close();
    }
  }
}
