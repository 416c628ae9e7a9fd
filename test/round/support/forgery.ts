/** Files that an honest member would not write, each validly signed by the key that is given. */
import { randomBytes } from 'node:crypto';
import { answerInfo, shareInfo } from '../../../lib/custody/bindings.js';
import { sealTo } from '../../../lib/custody/hpke.js';
import { sealMessage } from '../../../lib/custody/seal.js';
import { residueBytes, sealedShareSlot, shareBytes } from '../../../lib/custody/sharing.js';
import type { TrustedPlan } from '../../../lib/custody/trusted-plan.js';
import { parameterSet } from '../../../lib/lwe/parameters.js';
import { native } from '../../../lib/native.js';
import type { BodyOf, MessageKind } from '../../../lib/package/messages/registry.js';
import { UPDATE_SCHEMA_VERSION, type UpdateBody } from '../../../lib/package/messages/update.js';
import { openAnyContainer, openContainer } from '../../../lib/package/reader.js';
import type { SigningKey } from '../../../lib/package/signing-key.js';
import { containerBytes, encodeContainer } from '../../../lib/package/writer.js';
import { type ClientMember, EPOCH, type ReceivingMember } from './members.js';

export interface Changes<K extends MessageKind> {
  readonly body?: Partial<BodyOf<K>>;
  readonly sections?: Readonly<Record<string, Uint8Array>>;
  readonly created?: number;
}

/** A file with some of its content changed, signed again. */
export async function signAgain<K extends MessageKind>(
  kind: K,
  file: string | Uint8Array,
  signer: SigningKey,
  changes: Changes<K> = {},
): Promise<Uint8Array> {
  const container = await openContainer(file, kind);
  try {
    const sections = [];
    for (const { name } of container.header.sections) {
      sections.push({ name, data: changes.sections?.[name] ?? (await container.readSection(name)) });
    }
    return containerBytes(
      await encodeContainer({
        kind,
        body: { ...(container.body as object), ...changes.body } as BodyOf<K>,
        sections,
        signer,
        created: changes.created ?? container.header.created,
      }),
    );
  } finally {
    await container.close();
  }
}

/** A share of the right length that no polynomial of its client goes through. */
function strayShare(plan: TrustedPlan, index: number): Uint8Array {
  if (shareBytes(plan.body, index) === 32) return new Uint8Array(randomBytes(32));
  return packedResidues(plan, (i) => 1 + i);
}

/** n residues as they travel. */
export function packedResidues(plan: TrustedPlan, residueAt: (i: number) => number): Uint8Array {
  const set = parameterSet(plan.body.parameterSet);
  const packed = new Uint8Array(residueBytes(set));
  const residues = Uint32Array.from({ length: set.n }, (_, i) => residueAt(i));
  native().packResidues({ parameterSet: set.nativeId, residues, packed });
  return packed;
}

export interface CraftedUpdate {
  /** Quantized values; zeros unless told. */
  readonly values?: Int32Array;
  /** Indices of custodians that get a share of nothing. */
  readonly badShareFor?: readonly number[];
  /** Indices of custodians whose sealed share is noise. */
  readonly noiseFor?: readonly number[];
  readonly body?: Partial<UpdateBody>;
  readonly sections?: Readonly<Record<string, Uint8Array>>;
  readonly signer?: SigningKey;
  readonly created?: number;
}

/** An update made without the client's state and checks. */
export async function craftUpdate(
  plan: TrustedPlan,
  client: ClientMember,
  crafted: CraftedUpdate = {},
): Promise<Uint8Array> {
  const signer = crafted.signer ?? client.signing;
  const values = crafted.values ?? new Int32Array(plan.arithmetic.valueCount);
  const sealed = await client.prf.use((prf) => sealMessage(plan, client.id, signer.keyId, prf, values));
  const shares = Uint8Array.from(sealed.shares);
  const { fleet, policy, cohort, round, keyEpoch, parameterSet: set, adapterSchema } = plan.body;
  for (const index of crafted.badShareFor ?? []) {
    const custodian = plan.roster.body.custodians[index - 1] as { id: string; kem: Uint8Array };
    const info = shareInfo({
      fleet,
      policy,
      cohort,
      round,
      plan: plan.fingerprint,
      client: client.id,
      clientKeyId: signer.keyId,
      custodian: custodian.id,
      custodianIndex: index,
      keyEpoch,
    });
    const { offset } = sealedShareSlot(plan.body, index);
    shares.set(await sealTo(custodian.kem, info, strayShare(plan, index)), offset);
  }
  for (const index of crafted.noiseFor ?? []) {
    const { offset, length } = sealedShareSlot(plan.body, index);
    shares.set(randomBytes(length), offset);
  }
  const body: UpdateBody = {
    schema: UPDATE_SCHEMA_VERSION,
    fleet,
    policy,
    cohort,
    round,
    plan: plan.fingerprint,
    client: client.id,
    parameterSet: set,
    keyEpoch,
    adapterSchema,
    ...crafted.body,
  };
  return containerBytes(
    await encodeContainer({
      kind: 'update',
      body,
      sections: [
        { name: 'ciphertext', data: crafted.sections?.['ciphertext'] ?? sealed.ciphertext },
        { name: 'shares', data: crafted.sections?.['shares'] ?? shares },
      ],
      signer,
      ...(crafted.created !== undefined && { created: crafted.created }),
    }),
  );
}

/** What a lying custodian answers: `packed` in place of its sum, correctly sealed and signed. */
export async function craftAnswer(
  plan: TrustedPlan,
  custodian: ReceivingMember,
  honest: string | Uint8Array,
  packed: Uint8Array,
): Promise<Uint8Array> {
  const container = await openContainer(honest, 'answer');
  const { fleet, policy, cohort, round, set, index } = container.body;
  await container.close();
  const info = answerInfo({
    fleet,
    policy,
    cohort,
    round,
    plan: plan.fingerprint,
    set,
    custodian: custodian.id,
    custodianIndex: index,
    keyEpoch: EPOCH,
    ownerKeyId: plan.roster.ownerKeyId,
  });
  const sealed = await sealTo(plan.roster.body.owner.kem, info, packed);
  return signAgain('answer', honest, custodian.signing, { sections: { sealed } });
}

/** `bytes` with one bit changed in the middle of `part`, which they hold once. */
export function withBitFlippedIn(bytes: Uint8Array, part: Uint8Array): Uint8Array {
  const at = Buffer.from(bytes).indexOf(part);
  if (at < 0) throw new Error('the part is not there');
  const changed = Uint8Array.from(bytes);
  const middle = at + (part.length >> 1);
  changed[middle] = (changed[middle] as number) ^ 1;
  return changed;
}

/** A file of which one bit of its first signature was changed. */
export async function withSignatureChanged(file: Uint8Array): Promise<Uint8Array> {
  const container = await openAnyContainer(file);
  return withBitFlippedIn(file, container.signatures[0]?.sig as Uint8Array);
}
