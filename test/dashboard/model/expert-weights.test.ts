import { expect } from 'chai';
import { expertWeights } from '../../../lib/dashboard/model/expert-weights.js';
import { clientView, lastReport } from '../support/clients.js';

const client = (id: string, experts: Record<string, number>, policy = 'pick') =>
  clientView(id, { lastReport: lastReport(id, { experts, policy }) });

describe('the experts on the page', () => {
  it('are weighed by the shares that clients reported, policy by policy', () => {
    const [pick, place] = expertWeights([
      client('a', { vision: 1, action: 3 }),
      client('b', { vision: 1, language: 0 }),
      client('c', { action: 1 }, 'place'),
      clientView('d'),
      client('e', {}),
    ]);
    expect(pick?.policy).to.equal('pick');
    expect(pick?.experts).to.deep.equal([
      { expert: 'action', clients: 1, part: 0.6 },
      { expert: 'language', clients: 0, part: 0 },
      { expert: 'vision', clients: 2, part: 0.4 },
    ]);
    expect(pick?.clients.map((each) => each.client)).to.deep.equal(['a', 'b']);
    expect(place?.experts).to.deep.equal([{ expert: 'action', clients: 1, part: 1 }]);
  });

  it('are none where nobody reported a share', () => {
    expect(expertWeights([clientView('a'), client('b', {})])).to.deep.equal([]);
    expect(expertWeights([client('a', { vision: 0 })])[0]?.experts).to.deep.equal([
      { expert: 'vision', clients: 0, part: 0 },
    ]);
  });
});
