/** Fingerprints of policies: what records and logs name a policy by. */
import { createHash } from 'node:crypto';
import { POLICY_SECTIONS, type Policy, type PolicySection } from './policy.js';

const LABEL = 'tensorguard-native v1 policy';

export interface PolicyFingerprints {
  /** 32 bytes over all sections. */
  readonly policy: Uint8Array;
  /** 32 bytes a section. */
  readonly sections: Readonly<Record<PolicySection, Uint8Array>>;
}

/**
 * JSON without spaces, the keys of every object in ascending order of their UTF-16 code units, numbers as
 * ECMAScript writes them, unset settings left out (RFC 8785 for the values that a policy has).
 */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, inner]) => `${JSON.stringify(name)}:${canonicalJson(inner)}`);
  return `{${fields.join(',')}}`;
}

function fingerprint(part: string, value: unknown): Uint8Array {
  return createHash('sha256')
    .update(`${LABEL}\0${part}\0${canonicalJson(value)}`, 'utf8')
    .digest();
}

/**
 * SHA-256 over "tensorguard-native v1 policy" || 0x00 || part || 0x00 || canonical JSON, where part is a
 * section's name, or "policy" for the whole. Two policies have the same fingerprint where all their
 * settings are the same, wherever these came from.
 */
export function policyFingerprints(policy: Policy): PolicyFingerprints {
  const sections = Object.fromEntries(
    POLICY_SECTIONS.map((section) => [section, fingerprint(section, policy[section])]),
  ) as Record<PolicySection, Uint8Array>;
  return { policy: fingerprint('policy', policy), sections };
}
