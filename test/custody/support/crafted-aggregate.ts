/** Aggregates that an honest aggregator would not write, correctly signed by one of the roster. */
import { openContainer } from '../../../lib/package/reader.js';
import { containerBytes, encodeContainer } from '../../../lib/package/writer.js';
import type { TestRound } from '../../round/support/round.js';

/** An aggregate of these updates' files, whatever they are; its ciphertext is zeros, which custodians do not look at. */
export async function craftAggregate(round: TestRound, updates: readonly Uint8Array[]): Promise<Uint8Array> {
  const entries = await Promise.all(
    updates.map(async (bytes) => {
      const container = await openContainer(bytes, 'update');
      const { body, fingerprint, envelopeBytes } = container;
      const shares = await container.readSection('shares');
      await container.close();
      return { client: body.client, update: Uint8Array.from(fingerprint), envelope: envelopeBytes, shares };
    }),
  );
  entries.sort((a, b) => Buffer.compare(a.update, b.update));
  const { fleet, policy, cohort, round: number } = round.plan.body;
  const { aggregator } = round.members;
  const container = await encodeContainer({
    kind: 'aggregate',
    body: {
      ...{ fleet, policy, cohort, round: number, plan: round.plan.fingerprint, aggregator: aggregator.id },
      accepted: entries.map(({ client, update }) => ({ client, update })),
      envelopeLengths: entries.map(({ envelope }) => envelope.length),
      shareLengths: entries.map(({ shares }) => shares.length),
      refused: [],
    },
    sections: [
      { name: 'ciphertext', data: new Uint8Array(round.plan.arithmetic.ciphertextBytes) },
      { name: 'envelopes', data: Buffer.concat(entries.map(({ envelope }) => envelope)) },
      { name: 'shares', data: Buffer.concat(entries.map(({ shares }) => shares)) },
    ],
    signer: aggregator.signing,
  });
  return containerBytes(container);
}
