import { expect } from 'chai';
import fc from 'fast-check';
import { hashOf, launchKeyOf, placeOf, VIEWS } from '../../../lib/dashboard/model/place.js';

describe('where on the page somebody is', () => {
  it('is in the address and comes back from it', () => {
    const plan = 'ab'.repeat(32);
    for (const view of VIEWS) {
      expect(placeOf(hashOf(view))).to.deep.equal({ view, subject: undefined });
      expect(placeOf(hashOf(view, plan))).to.deep.equal({ view, subject: plan });
    }
  });

  it('is a view of the page, whatever the address says', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const { view, subject } = placeOf(`#${text}`);
        expect(VIEWS).to.include(view);
        // It becomes part of a path that the server is asked for.
        expect(subject ?? 'a').to.match(/^[A-Za-z0-9._:-]+$/);
      }),
    );
    expect(placeOf('#/round/..%2f..%2fetc')).to.deep.equal({ view: 'round', subject: undefined });
  });

  it('holds a launch key only where the command put one', () => {
    const key = `tgl_${'x'.repeat(43)}`;
    expect(launchKeyOf(`#launch=${key}`)).to.equal(key);
    // A link of somebody else's must not sign anybody in with another's token.
    expect(launchKeyOf(`#launch=tgt_${'0'.repeat(16)}_${'x'.repeat(43)}`)).to.equal(undefined);
    expect(launchKeyOf('#/round')).to.equal(undefined);
  });
});
