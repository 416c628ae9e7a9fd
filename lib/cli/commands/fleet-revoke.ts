import { type Command, Option } from 'commander';
import type { ClientStatus } from '../../package/messages/roster.js';
import { type IssueCommandOptions, issuedDocument, issuedLines, issueFromOptions } from '../issued-roster.js';
import type { Output } from '../output.js';

interface FleetRevokeOptions extends IssueCommandOptions {
  readonly suspend?: boolean;
  readonly reinstate?: boolean;
  readonly gateway?: boolean;
}

function statusAsked({ suspend, reinstate }: FleetRevokeOptions): ClientStatus {
  if (suspend === true) return 'suspended';
  return reinstate === true ? 'active' : 'revoked';
}

export function fleetRevokeCommand(command: Command, output: () => Output): Command {
  return command
    .description(
      'issue the next roster: a client revoked for good, suspended, or reinstated; or a gateway withdrawn',
    )
    .argument('<id>', "the client's id, or the gateway's")
    .requiredOption('--owner <dir>', "the owner's directory")
    .addOption(new Option('--suspend', 'until it is reinstated').conflicts('reinstate'))
    .addOption(new Option('--reinstate', 'a suspended client may take part again'))
    .addOption(
      new Option('--gateway', 'withdraw a gateway: its partial sums are refused from then on').conflicts([
        'suspend',
        'reinstate',
      ]),
    )
    .requiredOption('--out <file>', 'the roster to write (.tgo)')
    .action(async (client: string, options: FleetRevokeOptions) => {
      if (options.gateway === true) {
        const { issued } = await issueFromOptions(options, { withdrawGateways: [client] });
        output().result({ ...issuedDocument(options, issued), gateway: client, status: 'withdrawn' }, [
          `Gateway "${client}" is withdrawn.`,
          ...issuedLines(options, issued),
        ]);
        return;
      }
      const to = statusAsked(options);
      const { issued } = await issueFromOptions(options, { status: [{ id: client, to }] });
      output().result({ ...issuedDocument(options, issued), client, status: to }, [
        `Client "${client}" is ${to}.`,
        ...issuedLines(options, issued),
      ]);
    });
}
