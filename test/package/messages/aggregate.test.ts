import { bytes32 } from '../fixtures.js';
import { describeRefusals } from './refusals.js';

describe('an aggregate', () => {
  describeRefusals(
    'aggregate',
    [],
    [
      ['no accepted update', () => ({ accepted: [], envelopeLengths: [], shareLengths: [] }), 'accepted'],
      ['updates out of order', ({ accepted }) => ({ accepted: [...accepted].reverse() }), 'accepted'],
      [
        'an update twice',
        ({ accepted: [a, b] }) => ({ accepted: [a, { ...b, update: a?.update }] }),
        'accepted',
      ],
      [
        'a client twice',
        ({ accepted: [a, b] }) => ({ accepted: [a, { ...b, client: a?.client }] }),
        'accepted',
      ],
      ['an envelope length too few', () => ({ envelopeLengths: [20] }), 'envelopeLengths'],
      ['a share length too many', () => ({ shareLengths: [1, 2, 3] }), 'shareLengths'],
      ['an envelope shorter than its own prefix', () => ({ envelopeLengths: [20, 19] }), 'envelopeLengths.1'],
      ['an envelope longer than any may be', () => ({ envelopeLengths: [20, 2 ** 25] }), 'envelopeLengths.1'],
      ['a negative share length', () => ({ shareLengths: [8, -1] }), 'shareLengths.1'],
      [
        'a refusal without a code',
        ({ refused: [r] }) => ({ refused: [{ ...r, code: '' }] }),
        'refused.0.code',
      ],
      [
        'a refusal whose code is none',
        ({ refused: [r] }) => ({ refused: [{ ...r, code: 'Oops!' }] }),
        'refused.0.code',
      ],
      [
        'a refusal with a message of two lines',
        ({ refused: [r] }) => ({ refused: [{ ...r, message: 'a\nb' }] }),
        'refused.0.message',
      ],
      [
        'a refused update of impossible fingerprint',
        ({ refused: [r] }) => ({ refused: [{ ...r, update: bytes32(1).subarray(1) }] }),
        'refused.0.update',
      ],
      [
        'a refused client of impossible id',
        ({ refused: [r] }) => ({ refused: [{ ...r, client: '' }] }),
        'refused.0.client',
      ],
    ],
  );
});
