import { expect } from 'chai';
import fc from 'fast-check';
import {
  FIRST_QUERY,
  fleetPage,
  fleetSummary,
  healthGrade,
  ROWS_A_PAGE,
  SORT_KEYS,
  sortedBy,
} from '../../../lib/dashboard/model/fleet-table.js';
import { clientView, healthOf, lastReport } from '../support/clients.js';

const adapterFingerprint = 'ab'.repeat(32);

describe('the table of clients', () => {
  it('finds clients by a part of their id, whatever its case', () => {
    const clients = ['Arm-01', 'arm-02', 'cart-1'].map((id) => clientView(id));
    const { rows, found } = fleetPage(clients, { ...FIRST_QUERY, text: ' ARM-0' });
    expect(rows.map(({ client }) => client)).to.deep.equal(['Arm-01', 'arm-02']);
    expect(found).to.equal(2);
  });

  it('shows each client on one page, whatever it is sorted by, and what is not known last', () => {
    const client = fc.record({
      score: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
      seen: fc.option(fc.nat()),
    });
    fc.assert(
      fc.property(
        fc.array(client, { maxLength: 170 }),
        fc.constantFrom(...SORT_KEYS),
        fc.constantFrom('ascending' as const, 'descending' as const),
        (listed, sortBy, direction) => {
          const clients = listed.map(({ score, seen }, i) =>
            clientView(`client-${i}`, {
              health: score === null ? [] : healthOf(score),
              ...(seen !== null && { lastSeenMs: seen }),
            }),
          );
          const query = { ...FIRST_QUERY, sortBy, direction };
          const { pages } = fleetPage(clients, query);
          const rows = Array.from(
            { length: pages },
            (_, page) => fleetPage(clients, { ...query, page }).rows,
          );
          expect(rows.every((page) => page.length <= ROWS_A_PAGE)).to.equal(true);
          const ids = rows.flat().map((row) => row.client);
          expect([...ids].sort()).to.deep.equal(clients.map((row) => row.client).sort());
          const known = rows.flat().map(({ lastSeenMs }) => lastSeenMs !== undefined);
          if (sortBy === 'lastSeen')
            expect(known.indexOf(false) === -1 || !known.slice(known.indexOf(false)).includes(true)).to.equal(
              true,
            );
        },
      ),
    );
  });

  it('turns round where the same column is asked for again, from the first page on', () => {
    const once = sortedBy({ ...FIRST_QUERY, page: 3 }, 'health');
    expect(once).to.include({ sortBy: 'health', direction: 'ascending', page: 0 });
    expect(sortedBy(once, 'health')).to.include({ direction: 'descending' });
    expect(sortedBy(sortedBy(once, 'health'), 'client')).to.include({
      sortBy: 'client',
      direction: 'ascending',
    });
  });

  it('stays on a page that there is when clients go', () => {
    const clients = Array.from({ length: 60 }, (_, i) => clientView(`client-${i}`));
    expect(fleetPage(clients, { ...FIRST_QUERY, page: 9 })).to.include({ page: 1, pages: 2 });
    expect(fleetPage([], { ...FIRST_QUERY, page: 9 })).to.include({ page: 0, pages: 1, found: 0 });
  });

  it('grades clients by the policy in which they do worst', () => {
    const both = [...healthOf(0.9), ...healthOf(0.3)];
    expect(healthGrade(clientView('a', { health: both }))).to.equal('failing');
    expect(healthGrade(clientView('a', { health: healthOf(0.75) }))).to.equal('healthy');
    expect(healthGrade(clientView('a', { health: healthOf(0.5) }))).to.equal('unsteady');
    expect(healthGrade(clientView('a', { health: healthOf(0.9, true) }))).to.equal('left out');
    expect(healthGrade(clientView('a'))).to.equal('not observed');
  });

  it('counts what was reported, and nothing else', () => {
    const runs = (counter: number) => lastReport('a', { runs: { counter, adapterFingerprint } });
    const summary = fleetSummary(
      [
        clientView('a', { lastSeenMs: 990_000, lastReport: runs(3) }),
        clientView('b', { lastSeenMs: 100_000, lastReport: runs(4) }),
        clientView('c', { lastSeenMs: 999_000, lastReport: runs(3) }),
        clientView('d', { standing: 'revoked', lastReport: lastReport('d', {}) }),
      ],
      1_000_000,
    );
    expect(summary).to.include({ clients: 4, active: 3, recent: 2, never: 1, reported: 4 });
    expect(summary.releases).to.deep.equal([
      { counter: 4, clients: 1 },
      { counter: 3, clients: 2 },
    ]);
  });
});
