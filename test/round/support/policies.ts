/** Policies for rounds of small adapters. */
import { effectivePolicy } from '../../../lib/policy/effective.js';
import type { Policy } from '../../../lib/policy/policy.js';

/** Settings as a policy file writes them: `{ training: { keepRatio: 0.1 } }`. */
export type Settings = Readonly<Record<string, unknown>>;

/** Four bits, coordinates as they are: what a value comes to can be told one by one. */
const PLAIN: Readonly<Record<string, object>> = { training: { bits: 4, rotation: false } };

/** The preset "balanced", values of four bits without rotation, and `settings` on top. */
export function testPolicy(settings: Settings = {}): Policy {
  const overrides: Record<string, unknown> = { ...settings };
  for (const [section, fields] of Object.entries(PLAIN)) {
    overrides[section] = { ...fields, ...(settings[section] as object | undefined) };
  }
  return effectivePolicy({ environment: {}, overrides }).policy;
}

/** The same for a fleet of this many custodians, also where a policy file would have to ask for more of them. */
export function forCustody(policy: Policy, custodianThreshold: number, custodians: number): Policy {
  return { ...policy, encryption: { ...policy.encryption, custodianThreshold, custodians } };
}
