/** Pins rosters of several versions in a process of its own, watching that the pin only grows. */
import { openRosterPin } from '../../../lib/custody/roster-pin.js';
import { outcomeOf } from '../../support/refusals.js';
import { bytes32 } from './bytes.js';
import { countWrites } from './kill-point.js';

const argument = JSON.parse(process.argv[2] ?? '') as { directory: string; versions: number[] };

const pin = await openRosterPin(argument.directory);
let newest = -1;
let result = 'monotonic';
countWrites(true);
for (const version of argument.versions) {
  const outcome = await outcomeOf(async () =>
    pin.pin(bytes32('owner'), version, bytes32(`roster ${version}`)),
  );
  if (outcome !== undefined && outcome.code !== 'roster.older') result = outcome.code;
  const current = pin.current()?.version ?? -1;
  if (current < newest || (outcome === undefined && current < version)) result = `back to ${current}`;
  newest = current;
}
countWrites(false);
pin.close();
process.send?.(result, () => process.disconnect());
