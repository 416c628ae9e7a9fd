/** The roster (`.tgo`): who belongs to the fleet, and what its rounds must keep to. Signed by the owner. */
import { z } from 'zod';
import { algorithmsSchema, type PublicKeys, publicKeysSchema, SIGNATURE_ALGORITHMS } from '../keys.js';
import {
  bytesOf,
  custodianIndexSchema,
  firstRepeated,
  hex,
  idSchema,
  integerSchema,
  keyEpochSchema,
  MAX_CLIENTS,
  MAX_CUSTODIANS,
  nonNegativeSchema,
  parameterSetSchema,
  versionSchema,
} from './common.js';
import type { MessageType } from './message-type.js';

/** X-Wing: ML-KEM-768's 1184 bytes, then X25519's 32 (draft-connolly-cfrg-xwing-kem). */
export const KEM_PUBLIC_KEY_BYTES = 1216;

const kemSchema = bytesOf(KEM_PUBLIC_KEY_BYTES);

const MAX_GATEWAYS = 4096;

const rosterShape = z.strictObject({
  fleet: idSchema,
  version: versionSchema,
  owner: z.strictObject({ keys: publicKeysSchema, kem: kemSchema }),
  coordinator: z.strictObject({ keys: publicKeysSchema }),
  aggregators: z
    .array(z.strictObject({ id: idSchema, keys: publicKeysSchema }))
    .min(1)
    .max(1024),
  /** Sites' machines that may sum their robots' updates before the aggregator does. Absent: none. */
  gateways: z
    .array(z.strictObject({ id: idSchema, keys: publicKeysSchema }))
    .min(1)
    .max(MAX_GATEWAYS)
    .optional(),
  clients: z
    .array(
      z.strictObject({
        id: idSchema,
        keys: publicKeysSchema,
        status: z.enum(['active', 'suspended', 'revoked']),
      }),
    )
    .max(MAX_CLIENTS),
  custodians: z
    .array(
      z.strictObject({
        id: idSchema,
        index: custodianIndexSchema,
        keys: publicKeysSchema,
        kem: kemSchema,
        epoch: keyEpochSchema,
      }),
    )
    .min(1)
    .max(MAX_CUSTODIANS),
  threshold: integerSchema(1, MAX_CUSTODIANS),
  /** Every round planned under an earlier epoch is closed: custodians destroy those keys. */
  oldestOpenEpoch: keyEpochSchema.optional(),
  // With one contributor the sum is that contributor's update.
  quorumFloor: integerSchema(2, MAX_CLIENTS),
  maxUpdateBytes: integerSchema(1),
  parameterSets: z.array(parameterSetSchema).min(1),
  noiseFloor: nonNegativeSchema,
  signatureAlgorithms: algorithmsSchema,
});

export type RosterBody = z.infer<typeof rosterShape>;
export type RosterClient = RosterBody['clients'][number];
export type RosterCustodian = RosterBody['custodians'][number];
export type ClientStatus = RosterClient['status'];

function keySets(roster: RosterBody, clients: readonly RosterClient[]): PublicKeys[] {
  const members = [
    roster.owner,
    roster.coordinator,
    ...roster.aggregators,
    ...(roster.gateways ?? []),
    ...clients,
    ...roster.custodians,
  ];
  return members.map((member) => member.keys);
}

export const rosterSchema = rosterShape.superRefine((roster, context) => {
  const refuse = (path: (string | number)[], message: string): void => {
    context.addIssue({ code: 'custom', path, message });
  };
  for (const role of ['aggregators', 'gateways', 'clients', 'custodians'] as const) {
    const repeated = firstRepeated((roster[role] ?? []).map((member) => member.id));
    if (repeated !== undefined) refuse([role], `the id "${repeated}" occurs twice`);
  }
  // One key in two places would let one machine count as two, or play two roles that watch each other.
  const everyKeySet = keySets(roster, roster.clients);
  // A fleet may come to require an algorithm after clients without it were revoked; those never sign again.
  const signingKeySets = keySets(
    roster,
    roster.clients.filter((client) => client.status !== 'revoked'),
  );
  for (const algorithm of SIGNATURE_ALGORITHMS) {
    const present = everyKeySet.flatMap((keys) => keys[algorithm] ?? []);
    if (firstRepeated(present.map(hex)) !== undefined)
      refuse([], `an ${algorithm} key occurs twice in the roster`);
    if (
      roster.signatureAlgorithms.includes(algorithm) &&
      signingKeySets.some((keys) => keys[algorithm] === undefined)
    ) {
      refuse(['signatureAlgorithms'], `${algorithm} is required, and a member has no such key`);
    }
  }
  if (firstRepeated([roster.owner, ...roster.custodians].map((member) => hex(member.kem))) !== undefined) {
    refuse([], 'a KEM key occurs twice in the roster');
  }
  if (roster.custodians.some((custodian, i) => custodian.index !== i + 1)) {
    refuse(['custodians'], 'must have the indices 1, 2, ..., n, in this order');
  }
  if (roster.threshold > roster.custodians.length) {
    refuse(['threshold'], `is ${roster.threshold}, with ${roster.custodians.length} custodians`);
  }
  const epoch = Math.min(...roster.custodians.map((custodian) => custodian.epoch));
  if (roster.oldestOpenEpoch !== undefined && roster.oldestOpenEpoch > epoch) {
    refuse(['oldestOpenEpoch'], `is ${roster.oldestOpenEpoch}, and a custodian's key is of epoch ${epoch}`);
  }
  if (new Set(roster.parameterSets).size !== roster.parameterSets.length) {
    refuse(['parameterSets'], 'must be without repetition');
  }
});

export const rosterMessage: MessageType<RosterBody> = {
  extension: '.tgo',
  schema: rosterSchema,
  sections: [],
};
