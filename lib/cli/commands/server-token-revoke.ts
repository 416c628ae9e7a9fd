import type { Command } from 'commander';
import type { Output } from '../output.js';
import { addDataOptions, type ServerDataOptions } from '../server-options.js';
import { withTokens } from '../server-tokens.js';

export function serverTokenRevokeCommand(command: Command, output: () => Output): Command {
  return addDataOptions(command)
    .description('revoke a bearer token')
    .argument('<id>', 'its id, as "server token list" shows it')
    .action(async (id: string, options: ServerDataOptions) => {
      await withTokens(options, (tokens) => tokens.revoke(id));
      output().result({ revoked: id }, [`Token ${id} is revoked.`]);
    });
}
