import { expect } from 'chai';
import { assignExperts, type Expert } from '../../../lib/policy/experts/expert-set.js';
import { expectRefusal } from '../../support/refusals.js';

const see: Expert = { name: 'see', modules: ['eye.**', 'shared'], weight: 0.5 };
const move: Expert = { name: 'move', modules: ['arm.*', 'shared', 'eye.lid'], weight: 1 };

describe('the assignment of modules to experts', () => {
  it('gives each module to the first expert with a pattern for it', () => {
    const { experts, expertOf, unmatched } = assignExperts(
      [see, move],
      ['arm.joint', 'shared', 'eye.lid', 'eye.a.b'],
    );
    expect(expertOf).to.deep.equal([1, 0, 0, 0]);
    expect(experts).to.deep.equal([see, move]);
    expect(unmatched).to.deep.equal([]);
  });

  it("gives the rest to an expert 'other' of weight 1, and says which modules these are", () => {
    const { experts, expertOf, unmatched } = assignExperts([see, move], ['leg', 'eye.x', 'arm.a.b']);
    expect(expertOf).to.deep.equal([2, 0, 2]);
    expect(experts).to.deep.equal([see, move, { name: 'other', modules: [], weight: 1 }]);
    expect(unmatched).to.deep.equal(['leg', 'arm.a.b']);
  });

  it("gives the rest to the 'other' that is named, with its weight", () => {
    const other: Expert = { name: 'other', modules: ['head'], weight: 0.25 };
    const { experts, expertOf, unmatched } = assignExperts([other, see], ['leg', 'head', 'shared']);
    expect(expertOf).to.deep.equal([0, 0, 1]);
    expect(experts).to.deep.equal([other, see]);
    expect(unmatched).to.deep.equal(['leg']);
  });

  it('accepts no modules', () => {
    expect(assignExperts([see], []).expertOf).to.deep.equal([]);
  });

  const bad: [string, string, readonly Expert[]][] = [
    ['no experts', 'policy.bad-expert', []],
    [
      '65 experts',
      'policy.bad-expert',
      Array.from({ length: 65 }, (_, index) => ({ ...see, name: `e${index}` })),
    ],
    ['two experts of one name', 'policy.bad-expert', [see, { ...move, name: 'see' }]],
    ['a name that is no id', 'policy.bad-expert', [{ ...see, name: 'see here' }]],
    [
      'a weight above 1, which would lift an update over its clip',
      'policy.bad-expert',
      [{ ...see, weight: 1.2 }],
    ],
    ['a weight of 0', 'policy.bad-expert', [{ ...see, weight: 0 }]],
    ['a weight that is no number', 'policy.bad-expert', [{ ...see, weight: Number.NaN }]],
    ['a bad pattern', 'policy.bad-pattern', [{ ...see, modules: [''] }]],
  ];
  for (const [what, code, experts] of bad) {
    it(`refuses ${what} (${code})`, async () => {
      await expectRefusal(code, () => assignExperts(experts, ['eye.x']));
    });
  }
});
