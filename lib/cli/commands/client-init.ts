import type { Command } from 'commander';
import { addNamedMemberOptions, type NamedMemberOptions, setUpFromOptions } from '../member-options.js';
import type { Output } from '../output.js';

export function clientInitCommand(command: Command, output: () => Output): Command {
  return addNamedMemberOptions(
    command.description('set up a client on the machine where it will live, and ask to be enrolled'),
  ).action((directory: string, options: NamedMemberOptions) =>
    setUpFromOptions(output(), { directory, role: 'client', id: options.id }, options),
  );
}
