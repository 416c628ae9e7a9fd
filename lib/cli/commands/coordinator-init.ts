import type { Command } from 'commander';
import { addMemberOptions, type MemberOptions, setUpFromOptions } from '../member-options.js';
import type { Output } from '../output.js';

export function coordinatorInitCommand(command: Command, output: () => Output): Command {
  return addMemberOptions(
    command.description('set up the coordinator on the machine where it will live, and ask to be enrolled'),
  ).action((directory: string, options: MemberOptions) =>
    setUpFromOptions(output(), { directory, role: 'coordinator', id: 'coordinator' }, options),
  );
}
