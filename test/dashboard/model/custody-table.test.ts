import { expect } from 'chai';
import { custodySummary, openBreakGlass } from '../../../lib/dashboard/model/custody-table.js';
import { custodyStatus } from '../../observability/support/records.js';

const head = 'ab'.repeat(32);
const reports = (status = custodyStatus()) => ({ reported: { receivedAtMs: 1, status } });

describe('the custodians on the page', () => {
  it('are counted by what they reported, and the first rotation is named', () => {
    const summary = custodySummary({
      threshold: 3,
      custodians: [
        {
          custodian: 'a',
          index: 1,
          epoch: 1,
          ...reports(custodyStatus({ rotation: { dueAtMs: 90, pending: false } })),
        },
        {
          custodian: 'b',
          index: 2,
          epoch: 1,
          ...reports(custodyStatus({ rotation: { dueAtMs: 50, pending: true } })),
        },
        { custodian: 'c', index: 3, epoch: 1 },
      ],
    });
    expect(summary).to.deep.equal({
      ...{ threshold: 3, custodians: 3, reporting: 2, broken: [] },
      nextRotation: { custodian: 'b', dueAtMs: 50 },
    });
  });

  it('show broken trails and open uses of break-glass, each by its custodian', () => {
    const list = {
      threshold: 1,
      custodians: [
        {
          ...{ custodian: 'a', index: 1, epoch: 1 },
          ...reports(
            custodyStatus({
              audit: { entries: 2, head, whole: false },
              openBreakGlass: [{ entry: 7, key: 'kem-1', round: 'acme pick all 3' }],
            }),
          ),
        },
        { custodian: 'b', index: 2, epoch: 1, ...reports() },
      ],
    };
    expect(custodySummary(list).broken).to.deep.equal(['a']);
    expect(openBreakGlass(list)).to.deep.equal([
      { custodian: 'a', key: 'kem-1', round: 'acme pick all 3', entry: 7 },
    ]);
  });

  it('promise nothing while nobody has reported', () => {
    const list = { threshold: 1, custodians: [{ custodian: 'a', index: 1, epoch: 1 }] };
    expect(custodySummary(list)).to.include({ reporting: 0, nextRotation: undefined });
    expect(openBreakGlass(list)).to.deep.equal([]);
  });
});
