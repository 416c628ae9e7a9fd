/** Taking in gateways' partial sums: the header before a byte of the rest, then every contributor's header and sealed shares. */
import { z } from 'zod';
import { contributors } from '../../custody/contributions.js';
import { checkPartialSum } from '../../custody/partial-sums.js';
import type { TrustedPlan } from '../../custody/trusted-plan.js';
import { FormatError, RefusedError } from '../../errors.js';
import { hex } from '../../package/messages/common.js';
import type { UpdateBody } from '../../package/messages/update.js';
import { openContainer } from '../../package/reader.js';
import { requireTrainingWithinPolicy } from '../../policy/bounds.js';
import type { Policy } from '../../policy/policy.js';
import type { EventOf } from '../../round/machine/events.js';
import type { Store } from '../../store/store.js';
import { StoredFileSource } from '../files/stored-file.js';
import { storeVerified } from '../files/verified-file.js';
import { changeJson } from '../state/json-state.js';
import { statisticsOf } from './reported-statistics.js';
import { keepFileRecord, keyOf } from './stored-round.js';
import { MAX_ENVELOPE_BYTES } from './update-intake.js';

/** Different partial sums that a gateway may send in a round: each costs storage until the round is closed. */
const MAX_BEGUN = 16;

const begunSchema = z.strictObject({ fingerprints: z.array(z.string()).max(MAX_BEGUN) });

export interface PartialSumTarget {
  /** 64 hexadecimal digits. */
  readonly planHex: string;
  readonly plan: TrustedPlan;
  /** Who sends it, as it is authenticated. */
  readonly gateway: string;
  /** Of the partial sum, as the path names it. */
  readonly fingerprint: string;
}

type Contributors = EventOf<'partial-sum-received'>['contributors'];

export class PartialSumIntake {
  constructor(
    private readonly store: Store,
    private readonly policy: Policy,
  ) {}

  /**
   * Takes a whole file from a stream; the same one again is fine.
   *
   * @param sizeBytes as the sender declared it
   * @returns the contributors, each verified as if it had sent its update itself
   * @throws RefusedError `partial-sum.*`, `update.*`, `roster.*`, `policy.*`, `auth.not-yours`, `upload.too-many`,
   *   `upload.other-fingerprint`; VerificationError, FormatError `container.*`, `upload.wrong-length`
   */
  async take(
    target: PartialSumTarget,
    body: AsyncIterable<Uint8Array>,
    sizeBytes: number,
  ): Promise<Contributors> {
    const { plan, planHex, fingerprint } = target;
    const maxBytes = plan.roster.body.maxUpdateBytes * plan.body.lwe.maxClients;
    if (sizeBytes > maxBytes) {
      throw new FormatError(
        'container.too-large',
        `The partial sum has ${sizeBytes} bytes; ${plan.body.lwe.maxClients} updates have at most ${maxBytes}.`,
      );
    }
    const limits = { sizeBytes, maxEnvelopeBytes: MAX_ENVELOPE_BYTES };
    const { file } = await storeVerified(
      this.store.blobs,
      'partial-sum',
      body,
      limits,
      async (envelope): Promise<void> => {
        if (hex(envelope.fingerprint) !== fingerprint) {
          throw new RefusedError(
            'upload.other-fingerprint',
            'The partial sum has another fingerprint than the path names. Name the one that it has.',
          );
        }
        if (envelope.body.gateway !== target.gateway) {
          throw new RefusedError(
            'auth.not-yours',
            `The partial sum is of gateway "${envelope.body.gateway}"; a gateway sends its own.`,
          );
        }
        await checkPartialSum(envelope, plan);
        await this.#count(target);
      },
    );
    const verified = await this.#verified(plan, new StoredFileSource(this.store.blobs, file));
    const record = { fingerprint, file, atMs: Date.now() };
    await keepFileRecord(this.store.state, record, 'partialSum', planHex, fingerprint);
    return verified;
  }

  async #verified(plan: TrustedPlan, source: StoredFileSource): Promise<Contributors> {
    const partial = await openContainer(source, 'partial-sum');
    try {
      const verified: Contributors[number][] = [];
      for await (const { envelope } of contributors(partial, plan)) {
        requireTrainingWithinPolicy(this.policy, envelope.body.safety ?? {});
        verified.push(contributorOf(envelope.body, envelope.fingerprint));
      }
      return verified;
    } finally {
      await partial.close();
    }
  }

  async #count({ planHex, gateway, fingerprint }: PartialSumTarget): Promise<void> {
    await changeJson(this.store.state, begunSchema, keyOf('begunSums', planHex, gateway), (begun) => {
      const fingerprints = begun?.fingerprints ?? [];
      if (fingerprints.includes(fingerprint)) return undefined;
      if (fingerprints.length < MAX_BEGUN) return { fingerprints: [...fingerprints, fingerprint] };
      throw new RefusedError(
        'upload.too-many',
        `The gateway has begun ${MAX_BEGUN} partial sums in this round, which is all that it may.`,
      );
    });
  }
}

function contributorOf({ client, staleness, safety }: UpdateBody, update: Uint8Array): Contributors[number] {
  const statistics = statisticsOf(safety);
  return {
    client,
    fingerprint: hex(update),
    ...(staleness !== undefined && { stalenessRounds: staleness }),
    ...(statistics !== undefined && { statistics }),
  };
}
