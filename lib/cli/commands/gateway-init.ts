import type { Command } from 'commander';
import { addNamedMemberOptions, type NamedMemberOptions, setUpFromOptions } from '../member-options.js';
import type { Output } from '../output.js';

export function gatewayInitCommand(command: Command, output: () => Output): Command {
  return addNamedMemberOptions(
    command.description("set up a site's gateway on the machine where it will live, and ask to be enrolled"),
  ).action((directory: string, options: NamedMemberOptions) =>
    setUpFromOptions(output(), { directory, role: 'gateway', id: options.id }, options),
  );
}
