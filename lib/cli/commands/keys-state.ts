import type { Command } from 'commander';
import type { KeyState } from '../../custody/keys/key-states.js';
import type { KeyStore } from '../../custody/keys/key-store.js';
import { openKeyStore } from '../../custody/role-directory.js';
import { RefusedError } from '../../errors.js';
import type { Output } from '../output.js';

interface StateOptions {
  readonly role: string;
  readonly reason: string;
  readonly force?: boolean;
}

const DESCRIPTIONS: Readonly<Record<Exclude<KeyState, 'pre-activation'>, string>> = {
  active: 'let a suspended key work again',
  suspended: 'keep a key from being used, for the time being',
  deactivated: 'end the time of a key: it still opens what was sealed to it',
  compromised: 'a key may be known to others: it opens nothing any more, but for break-glass',
  destroyed: 'destroy a key and every copy of it here: what was sealed to it stays sealed',
};

/** Members' keys change by rosters; what is done by hand to one that a fleet relies on needs saying twice. */
function requireForce(store: KeyStore, name: string, to: KeyState, force: boolean): void {
  const key = store.keys().find((each) => each.name === name);
  if (force || key === undefined || to !== 'destroyed') return;
  if (key.purpose !== 'kem' || ['active', 'suspended', 'deactivated'].includes(key.state)) {
    throw new RefusedError(
      'key.in-use',
      `Key "${name}" is ${key.state}: rounds may need it, and nothing brings it back. Keys of epochs whose rounds are all ` +
        'closed are destroyed when a roster says so ("fleet enroll --oldest-open-epoch"). To destroy it now: --force.',
    );
  }
}

/** `keys activate`, `suspend`, `deactivate`, `compromise`, `destroy`. */
export function keysStateCommand(to: Exclude<KeyState, 'pre-activation'>) {
  return (command: Command, output: () => Output): Command => {
    const built = command
      .description(DESCRIPTIONS[to])
      .argument('<key>', 'its name, as "keys list" shows it')
      .requiredOption('--role <dir>', "the role's directory")
      .requiredOption('--reason <text>', 'why, for the audit trail');
    if (to === 'destroyed') built.option('--force', 'also a key that rounds may need');
    return built.action(async (name: string, options: StateOptions) => {
      const store = await openKeyStore(options.role);
      try {
        requireForce(store, name, to, options.force === true);
        await (to === 'destroyed'
          ? store.destroy(name, options.reason)
          : store.transition(name, to, options.reason));
        output().result({ key: name, state: to }, [`Key "${name}" is ${to}.`]);
      } finally {
        store.close();
      }
    });
  };
}
