/** Founds a fleet in a process of its own. */
import { foundFleet, readFounders } from '../../../../lib/round/enrolment/found-fleet.js';
import { countWrites } from '../../../custody/support/kill-point.js';
import { foundingSettings } from './founding.js';

const { directory, files } = JSON.parse(process.argv[2] ?? '') as { directory: string; files: string[] };
const founders = await readFounders(files, 'acme');

countWrites(true);
await foundFleet({ ...foundingSettings, directory, founders });
countWrites(false);
process.send?.('founded', () => process.disconnect());
