/** Enrols one client in a process of its own. */
import { issueRoster } from '../../../../lib/round/enrolment/issue-roster.js';
import { countWrites } from '../../../custody/support/kill-point.js';
import { createMembers } from '../../support/members.js';

const argument = JSON.parse(process.argv[2] ?? '') as { ownerDirectory: string; file: string };
const { owner } = await createMembers({ clients: 3, custodians: 2 });

countWrites(true);
await issueRoster({
  ownerDirectory: argument.ownerDirectory,
  signing: owner.signing,
  changes: { enrol: [{ file: new Uint8Array(Buffer.from(argument.file, 'base64')) }] },
});
countWrites(false);
process.send?.('issued', () => process.disconnect());
