/** What `client init` and `custodian init` have in common. */
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { SignatureAlgorithm } from '../package/keys.js';
import { idSchema } from '../package/messages/common.js';
import { type NewMember, setUpMember } from '../round/enrolment/set-up-member.js';
import type { Output } from './output.js';
import {
  addWrapperOptions,
  UNWRAPPED_WARNING,
  type WrapperOptions,
  wrapperConfigOf,
} from './wrapper-options.js';

export interface MemberOptions extends WrapperOptions {
  readonly id: string;
  readonly fleet: string;
  readonly ownerKeyId?: Uint8Array;
  readonly postQuantumSignatures: boolean;
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

export function addMemberOptions(command: Command): Command {
  return addWrapperOptions(
    command
      .argument('<directory>', 'a new directory, where the keys stay')
      .requiredOption('--id <id>', 'its name in the fleet', idOption)
      .requiredOption('--fleet <name>', 'the name of the fleet', idOption)
      .option(...OWNER_KEY_ID_OPTION, keyIdOption)
      .option('--post-quantum-signatures', 'sign with ML-DSA-65 beside Ed25519', false),
  );
}

/** Sets a member up, and says what to do with what came out. */
export async function setUpFromOptions(
  out: Output,
  role: NewMember['role'],
  directory: string,
  options: MemberOptions,
  epoch: number,
): Promise<void> {
  const { id, fleet, ownerKeyId } = options;
  const algorithms: SignatureAlgorithm[] = options.postQuantumSignatures
    ? ['ed25519', 'ml-dsa-65']
    : ['ed25519'];
  const wrapper = await wrapperConfigOf(options);
  if (wrapper.kind === 'none') out.warn(UNWRAPPED_WARNING);
  const member = await setUpMember({
    ...{ directory, role, id, fleet, algorithms, wrapper, epoch, ownerKeyId },
  });
  out.result(
    {
      ...{ directory: resolve(directory), role, id, fleet, wrapper: wrapper.kind },
      ...(role === 'custodian' && { epoch }),
      keyId: member.keyId,
      written: member.enrolment,
    },
    [
      `${role === 'client' ? 'Client' : 'Custodian'} "${id}" of fleet "${fleet}" in ${directory}; its private keys stay there.`,
      `Key id ${Buffer.from(member.keyId).toString('hex')}: tell it to the owner by a channel that you trust.`,
      `Wrote ${member.enrolment}: give it to the owner for "fleet enroll", and take the roster with "fleet join".`,
    ],
  );
}
