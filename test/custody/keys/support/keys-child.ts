/** Does one thing with a key store in a process of its own. */
import { countWrites } from '../../support/kill-point.js';
import { type KeysChildArgument, perform } from './keys-acts.js';

const argument = JSON.parse(process.argv[2] ?? '') as KeysChildArgument;

await perform(argument, () => countWrites(true));
countWrites(false);
process.send?.('done', () => process.disconnect());
