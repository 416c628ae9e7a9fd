import { expect } from 'chai';
import { policyFingerprints } from '../../lib/policy/fingerprint.js';
import { POLICY_SECTIONS, type Policy } from '../../lib/policy/policy.js';
import { presetPolicy } from '../../lib/policy/presets.js';
import { documentOf, SETTINGS, settingsInDocument, valueAt } from '../../lib/policy/settings.js';
import { SETTING_EXAMPLES } from './support/setting-values.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** The policy with one setting changed, whatever else that may contradict: only the encoding matters here. */
function changed(policy: Policy, field: string, value: unknown): Policy {
  return documentOf(new Map([...settingsInDocument(policy, 'test'), [field, value]])) as Policy;
}

describe('the fingerprint of a policy', () => {
  // Computed with Python's hashlib and json.dumps(sort_keys=True), small numbers written as ECMAScript writes them.
  const vectors: [of: string, fingerprint: string][] = [
    ['policy', '82bf99c6a938272212812f71fea5e105a0124e3311c8daaf3ff2b27ea629c6df'],
    ['privacy', '688fa9f3e702c042632696ff2a1cfad6cb48d08f017f1b97f8164ad5c7a51f2a'],
    ['experts', 'f2a7c40b4c74a63792761c6aa37c15d659ddd4d363eea3d5e3f224cebff3c248'],
  ];
  for (const [of, expected] of vectors) {
    it(`is the known one: ${of} of balanced`, () => {
      const { policy, sections } = policyFingerprints(presetPolicy('balanced'));
      expect(
        hex(new Map<string, Uint8Array>([['policy', policy], ...Object.entries(sections)]).get(of) ?? policy),
      ).to.equal(expected);
    });
  }

  it('does not depend on the order of fields, nor on unset ones being there', () => {
    const policy = presetPolicy('balanced');
    const reversed = Object.fromEntries(
      Object.entries(policy)
        .reverse()
        .map(([name, section]) => [
          name,
          Array.isArray(section) ? section : Object.fromEntries(Object.entries(section).reverse()),
        ]),
    ) as Policy;
    reversed.training.maxRelativeError = undefined;
    expect(policyFingerprints(reversed)).to.deep.equal(policyFingerprints(policy));
  });

  for (const { field, path } of SETTINGS.filter(
    (setting) => setting.field !== 'envelope.plaintextInspection',
  )) {
    it(`changes with ${field}: that of its section and of the whole, and no other`, () => {
      const policy = presetPolicy('balanced');
      const setting = SETTINGS.find((each) => each.field === field);
      const now = setting && JSON.stringify(valueAt(policy, setting));
      const other = SETTING_EXAMPLES[field]?.good.find((value) => JSON.stringify(value) !== now);
      expect(other).not.to.equal(undefined);
      const [before, after] = [policy, changed(policy, field, other)].map(policyFingerprints);
      expect(hex(before?.policy as Uint8Array)).not.to.equal(hex(after?.policy as Uint8Array));
      for (const section of POLICY_SECTIONS) {
        const same =
          hex(before?.sections[section] as Uint8Array) === hex(after?.sections[section] as Uint8Array);
        expect(same, section).to.equal(section !== path[0]);
      }
    });
  }

  it('tells unset from any value', () => {
    const policy = presetPolicy('balanced');
    expect(hex(policyFingerprints(changed(policy, 'privacy.clip', undefined)).policy)).not.to.equal(
      hex(policyFingerprints(policy).policy),
    );
  });
});
