import { expect } from 'chai';
import { itemsOf, workSchema } from '../../../lib/agents/api/work-items.js';

const plan = 'ab'.repeat(32);

describe('what there is to do', () => {
  it('is read item by item, and kinds of later versions are passed over', () => {
    const items = workSchema.parse({
      role: 'client',
      items: [
        { kind: 'closed', plan },
        { kind: 'dance', plan: 7 },
        { kind: 'seal', plan, fleet: 'acme', policy: 'pick', cohort: 'all', round: 3, deadlineMs: 7 },
      ],
    });
    expect(itemsOf(items, 'seal')).to.deep.equal([
      { kind: 'seal', plan, policy: 'pick', cohort: 'all', round: 3, deadlineMs: 7 },
    ]);
    expect(itemsOf(items, 'closed')).to.deep.equal([{ kind: 'closed', plan }]);
    expect(itemsOf(items, 'answer')).to.deep.equal([]);
  });

  it('names nothing that a path or a file name could be bent with', () => {
    for (const bad of ['../../roster', plan.toUpperCase(), plan.slice(1), `${plan}/close`]) {
      expect(workSchema.safeParse({ items: [{ kind: 'closed', plan: bad }] }).success, bad).to.equal(false);
    }
    const answers = { kind: 'open', plan, answers: ['../owner'] };
    expect(workSchema.safeParse({ items: [answers] }).success).to.equal(false);
    const round = { kind: 'plan', policy: 'pick', cohort: 'a/b', round: 1, notBeforeMs: 0 };
    expect(workSchema.safeParse({ items: [round] }).success).to.equal(false);
  });
});
