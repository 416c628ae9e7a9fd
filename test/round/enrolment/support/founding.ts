/** What a small fleet is founded with. */
import type { FoundOptions } from '../../../../lib/round/enrolment/found-fleet.js';

export const foundingSettings: Omit<FoundOptions, 'directory' | 'founders'> = {
  name: 'acme',
  threshold: 1,
  parameterSet: 'lwe-128',
  quorumFloor: 3,
  maxUpdateBytes: 1 << 20,
  signatureAlgorithms: ['ed25519'],
  policyFile: { name: 'policy.json', text: '{"preset": "balanced"}\n' },
  defaults: { bits: 8 },
  wrapper: { kind: 'none' },
};
