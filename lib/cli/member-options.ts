/** What `client init`, `custodian init`, `aggregator init` and `coordinator init` have in common. */
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { SignatureAlgorithm } from '../package/keys.js';
import { idSchema } from '../package/messages/common.js';
import { describeMember } from '../round/enrolment/membership.js';
import { type NewMember, setUpMember } from '../round/enrolment/set-up-member.js';
import type { Output } from './output.js';
import { addPolicyFileOptions, newPolicy, type PolicyFileOptions } from './policy-file-options.js';
import {
  addWrapperOptions,
  UNWRAPPED_WARNING,
  type WrapperOptions,
  wrapperConfigOf,
} from './wrapper-options.js';

export interface MemberOptions extends WrapperOptions, PolicyFileOptions {
  readonly fleet: string;
  readonly ownerKeyId?: Uint8Array;
  readonly postQuantumSignatures: boolean;
}

export interface NamedMemberOptions extends MemberOptions {
  readonly id: string;
}

export function idOption(text: string): string {
  const parsed = idSchema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError(`It ${parsed.error.issues[0]?.message ?? 'is no id'}.`);
}

export function keyIdOption(text: string): Uint8Array {
  if (!/^[0-9a-fA-F]{64}$/.test(text)) throw new InvalidArgumentError('It must be 64 hexadecimal digits.');
  return new Uint8Array(Buffer.from(text, 'hex'));
}

export const OWNER_KEY_ID_OPTION = [
  '--owner-key-id <hex>',
  "the owner's key id, by a channel that you trust: without it the first roster decides whose rosters count",
] as const;

export function signatureAlgorithmsOf(options: {
  readonly postQuantumSignatures: boolean;
}): SignatureAlgorithm[] {
  return options.postQuantumSignatures ? ['ed25519', 'ml-dsa-65'] : ['ed25519'];
}

/** For a role of which a fleet has one: it needs no name. */
export function addMemberOptions(command: Command): Command {
  return addWrapperOptions(
    addPolicyFileOptions(
      command
        .argument('<directory>', 'a new directory, where the keys stay')
        .requiredOption('--fleet <name>', 'the name of the fleet', idOption)
        .option(...OWNER_KEY_ID_OPTION, keyIdOption)
        .option('--post-quantum-signatures', 'sign with ML-DSA-65 beside Ed25519', false),
    ),
  );
}

export function addNamedMemberOptions(command: Command): Command {
  return addMemberOptions(command.requiredOption('--id <id>', 'its name in the fleet', idOption));
}

/** Sets a member up, and says what to do with what came out. */
export async function setUpFromOptions(
  out: Output,
  member: Pick<NewMember, 'directory' | 'role' | 'id' | 'epoch'>,
  options: MemberOptions,
): Promise<void> {
  const { directory, role, id, epoch } = member;
  const { fleet, ownerKeyId } = options;
  const asked = options.policy !== undefined || options.preset !== undefined;
  const policyFile = asked ? (await newPolicy(options)).file : undefined;
  const wrapper = await wrapperConfigOf(options);
  if (wrapper.kind === 'none') out.warn(UNWRAPPED_WARNING);
  const algorithms = signatureAlgorithmsOf(options);
  const { keyId, enrolment } = await setUpMember({
    ...{ ...member, fleet, algorithms, wrapper, ownerKeyId, policyFile },
  });
  const who = describeMember({ role, id });
  out.result(
    {
      ...{ directory: resolve(directory), role, id, fleet, wrapper: wrapper.kind },
      ...(epoch !== undefined && { epoch }),
      ...{ keyId, written: enrolment },
    },
    [
      `${who.charAt(0).toUpperCase()}${who.slice(1)} of fleet "${fleet}" in ${directory}; its private keys stay there.`,
      `Key id ${Buffer.from(keyId).toString('hex')}: tell it to the owner by a channel that you trust.`,
      `Wrote ${enrolment}: give it to the owner for "fleet enroll" or "fleet init --members", and take the roster with "fleet join".`,
    ],
  );
}
