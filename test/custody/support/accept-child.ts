/** Accepts a roster in a process of its own. */
import { acceptRoster } from '../../../lib/custody/roster-archive.js';
import { countWrites } from './kill-point.js';

const { directory, file } = JSON.parse(process.argv[2] ?? '') as { directory: string; file: string };

countWrites(true);
await acceptRoster(directory, new Uint8Array(Buffer.from(file, 'base64')));
countWrites(false);
process.send?.('accepted', () => process.disconnect());
