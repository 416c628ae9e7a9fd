import { filled } from '../fixtures.js';
import { describeRefusals } from './refusals.js';

describe("a custodian's answer", () => {
  describeRefusals(
    'answer',
    [],
    [
      ['a set digest of another length', () => ({ set: filled(31, 1) }), 'set'],
      ['index 0', () => ({ index: 0 }), 'index'],
      ['index 256', () => ({ index: 256 }), 'index'],
      ['epoch 0', () => ({ epoch: 0 }), 'epoch'],
      ['no contributor', () => ({ contributors: 0 }), 'contributors'],
      ['a ledger head that is text', () => ({ ledgerHead: 'x'.repeat(32) }), 'ledgerHead'],
    ],
  );
});
