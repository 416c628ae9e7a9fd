import type { Command } from 'commander';
import { addNamedMemberOptions, type NamedMemberOptions, setUpFromOptions } from '../member-options.js';
import type { Output } from '../output.js';

export function aggregatorInitCommand(command: Command, output: () => Output): Command {
  return addNamedMemberOptions(
    command.description('set up an aggregator on the machine where it will live, and ask to be enrolled'),
  ).action((directory: string, options: NamedMemberOptions) =>
    setUpFromOptions(output(), { directory, role: 'aggregator', id: options.id }, options),
  );
}
