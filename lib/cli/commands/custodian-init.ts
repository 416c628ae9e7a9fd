import type { Command } from 'commander';
import { addNamedMemberOptions, type NamedMemberOptions, setUpFromOptions } from '../member-options.js';
import { integerOption } from '../options.js';
import type { Output } from '../output.js';

interface CustodianInitOptions extends NamedMemberOptions {
  readonly epoch: number;
}

export function custodianInitCommand(command: Command, output: () => Output): Command {
  return addNamedMemberOptions(
    command.description('set up a custodian on the machine where it will live, and ask to be enrolled'),
  )
    .option(
      '--epoch <e>',
      "epoch of its KEM key: the fleet's, or the next one",
      integerOption(1, 2 ** 32 - 1),
      1,
    )
    .action((directory: string, options: CustodianInitOptions) => {
      const { id, epoch } = options;
      return setUpFromOptions(output(), { directory, role: 'custodian', id, epoch }, options);
    });
}
