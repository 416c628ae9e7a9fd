/** The encryption profile: how hard updates are to break, and how many have to agree before a sum opens. */
import { z } from 'zod';
import type { ParameterSetName } from '../../lwe/parameters.js';
import { booleanSetting, choiceSetting, choicesSetting, integerSetting } from '../setting-schemas.js';

export const POLICY_SIGNATURE_ALGORITHMS = ['ed25519', 'ml-dsa-65'] as const;
export type PolicySignatureAlgorithm = (typeof POLICY_SIGNATURE_ALGORITHMS)[number];

export const SECURITY_LEVELS = [128, 192] as const;
export type SecurityLevel = (typeof SECURITY_LEVELS)[number];

const LEVELS: Readonly<Record<ParameterSetName, SecurityLevel>> = { 'lwe-192': 192, 'lwe-128': 128 };

/** Bits of security of a parameter set, by the HomomorphicEncryption.org standard of 2018. */
export function securityLevelOf(parameterSet: ParameterSetName): SecurityLevel {
  return LEVELS[parameterSet];
}

export const encryptionSchema = z
  .strictObject({
    securityLevel: choiceSetting(
      SECURITY_LEVELS,
      'bits of security at least: 192 permits `lwe-192`, 128 both sets',
    ),
    keyRotationHours: integerSetting(1, 8760, 'hours after which custodians move to keys of a new epoch'),
    quorum: integerSetting(2, 65_536, 'clients in a sum at least; 2 only with `allowQuorumOfTwo`'),
    allowQuorumOfTwo: booleanSetting('permit sums of two, in which each of the two can subtract itself'),
    custodians: integerSetting(1, 255, 'custodians (n) among whom secrets are shared'),
    custodianThreshold: integerSetting(
      1,
      255,
      'custodians (t) who must agree to open a round; more than half of `custodians`',
    ),
    signatureAlgorithms: choicesSetting(
      POLICY_SIGNATURE_ALGORITHMS,
      'signatures that every message must carry; `ed25519` always',
    ),
  })
  .superRefine((encryption, context) => {
    const refuse = (field: string, message: string) =>
      context.addIssue({ code: 'custom', path: [field], message });
    const { quorum, allowQuorumOfTwo, custodians, custodianThreshold, signatureAlgorithms } = encryption;
    if (quorum < 3 && !allowQuorumOfTwo) {
      refuse(
        'quorum',
        'is 2: each of two can subtract itself and see the other; use 3 or more, or allowQuorumOfTwo: true',
      );
    }
    if (custodianThreshold > custodians) {
      refuse(
        'custodianThreshold',
        `is ${custodianThreshold}; it must not exceed custodians, of whom there are ${custodians}`,
      );
    }
    // Two groups without a common member, all of them honest, could open two sets of one round.
    if (2 * custodianThreshold <= custodians) {
      refuse(
        'custodianThreshold',
        `is ${custodianThreshold} of ${custodians}; it must be more than half, or two groups of custodians could open two sets that differ by one client`,
      );
    }
    if (!signatureAlgorithms.includes('ed25519')) refuse('signatureAlgorithms', 'must include ed25519');
  });

export type EncryptionProfile = z.infer<typeof encryptionSchema>;
