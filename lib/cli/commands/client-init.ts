import type { Command } from 'commander';
import { addMemberOptions, type MemberOptions, setUpFromOptions } from '../member-options.js';
import type { Output } from '../output.js';

const FIRST_EPOCH = 1;

export function clientInitCommand(command: Command, output: () => Output): Command {
  return addMemberOptions(
    command.description('set up a client on the machine where it will live, and ask to be enrolled'),
  ).action((directory: string, options: MemberOptions) =>
    setUpFromOptions(output(), 'client', directory, options, FIRST_EPOCH),
  );
}
