import type { Command } from 'commander';
import type { Output } from '../output.js';
import { addDataOptions, type ServerDataOptions } from '../server-options.js';
import { withTokens } from '../server-tokens.js';

export function serverTokenListCommand(command: Command, output: () => Output): Command {
  return addDataOptions(command)
    .description('list bearer tokens, without what they are')
    .action(async (options: ServerDataOptions) => {
      const tokens = await withTokens(options, (each) => each.list());
      output().result(
        { tokens },
        tokens.map(({ id, role, name, expiresMs, revokedMs }) =>
          [
            id,
            role,
            name,
            revokedMs === undefined ? `until ${new Date(expiresMs).toISOString()}` : 'revoked',
          ].join('  '),
        ),
      );
    });
}
