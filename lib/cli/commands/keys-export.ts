import type { Command } from 'commander';
import { exportRole } from '../../round/disaster-recovery/export-role.js';
import type { Output } from '../output.js';

interface ExportCommandOptions {
  readonly role: string;
  readonly passphraseFile: string;
  readonly out: string;
}

export function keysExportCommand(command: Command, output: () => Output): Command {
  return command
    .description("write a role's keys, still wrapped, and its records into one encrypted archive")
    .requiredOption('--role <dir>', "the role's directory")
    .requiredOption('--passphrase-file <file>', 'a file of mode 0600 with a passphrase of 12 bytes or more')
    .requiredOption('--out <file>', 'the archive to write (.tgx)')
    .action(async ({ role: directory, passphraseFile, out }: ExportCommandOptions) => {
      const { role, id, fleet, archive, files, keys } = await exportRole({ directory, passphraseFile, out });
      output().result({ written: out, role, id, fleet, archive, files, keys }, [
        `${role} "${id}" of fleet "${fleet}" is in ${out}: ${files} files, keys ${keys.join(', ')}.`,
        ...(role === 'custodian' ? ['No KEM key is in it: where it is imported, a new one is made.'] : []),
        `The audit trail has it as archive ${archive}.`,
      ]);
    });
}
