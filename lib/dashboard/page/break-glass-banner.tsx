/** On every view for as long as it lasts: officers have unlocked a key, and nobody has closed that. */
import { openBreakGlass } from '../model/custody-table.js';
import { plural } from '../model/format.js';
import { CUSTODY_PATH } from '../model/paths.js';
import { hashOf } from '../model/place.js';
import type { CustodyList } from '../model/reported.js';
import { useResource } from './hooks.js';

export function BreakGlassBanner() {
  const { value } = useResource<CustodyList>(CUSTODY_PATH);
  const uses = value === undefined ? [] : openBreakGlass(value);
  if (uses.length === 0) return null;
  return (
    <div class="banner" role="alert">
      <strong>{`Break-glass is open: ${plural(uses.length, 'key was', 'keys were')} unlocked`}</strong>
      {uses.map(({ custodian, key, round, entry }) => (
        <span key={`${custodian} ${entry}`}>{`${custodian}: key ${key}, round ${round}`}</span>
      ))}
      <span>
        {'It stays until an officer closes it: '}
        <code>tensorguard-native keys break-glass close</code>
        {'. '}
        <a href={hashOf('keys')}>Keys</a>
      </span>
    </div>
  );
}
