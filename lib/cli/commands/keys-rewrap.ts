import type { Command } from 'commander';
import { openKeyStore } from '../../custody/role-directory.js';
import type { Output } from '../output.js';
import {
  addWrapperOptions,
  UNWRAPPED_WARNING,
  type WrapperOptions,
  wrapperConfigOf,
} from '../wrapper-options.js';

export function keysRewrapCommand(command: Command, output: () => Output): Command {
  return addWrapperOptions(
    command.description('wrap every key of a role anew: by another key, or as the paths are now'),
  )
    .requiredOption('--role <dir>', "the role's directory")
    .action(async (options: WrapperOptions & { readonly role: string }) => {
      const out = output();
      const config = await wrapperConfigOf(options);
      const store = await openKeyStore(options.role);
      try {
        const keys = await store.rewrap(config);
        const { id } = await store.wrapperDescription();
        if (config.kind === 'none') out.warn(UNWRAPPED_WARNING);
        out.result({ wrapper: id, keys }, [`${keys.join(', ')}: wrapped by ${id}.`]);
      } finally {
        store.close();
      }
    });
}
