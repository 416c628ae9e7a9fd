import { type Command, Option } from 'commander';
import { PERSON_ROLES, type PersonRole } from '../../server/auth/actor.js';
import { integerOption } from '../options.js';
import type { Output } from '../output.js';
import { addDataOptions, type ServerDataOptions } from '../server-options.js';
import { withTokens } from '../server-tokens.js';

interface CreateOptions extends ServerDataOptions {
  readonly role: PersonRole;
  readonly days: number;
  readonly name: string;
}

export function serverTokenCreateCommand(command: Command, output: () => Output): Command {
  return addDataOptions(command)
    .description('make a bearer token for a person; it is shown once')
    .addOption(new Option('--role <role>', 'what it may do').choices([...PERSON_ROLES]).makeOptionMandatory())
    .requiredOption('--name <text>', 'whose it is')
    .option('--days <n>', 'how long it lasts', integerOption(1, 3650), 30)
    .action(async (options: CreateOptions) => {
      const { name, role, days } = options;
      const { token, id } = await withTokens(options, (tokens) => tokens.create(name, role, days));
      output().result({ token, id, role, days }, [token]);
    });
}
