import type { Command } from 'commander';
import { type ImportedRole, importRole } from '../../round/disaster-recovery/import-role.js';
import { integerOption } from '../options.js';
import type { Output } from '../output.js';

interface ImportCommandOptions {
  readonly role: string;
  readonly passphraseFile: string;
  readonly epoch?: number;
}

const MAX_EPOCH = 2 ** 32 - 1;

function advice({ role, epoch }: ImportedRole, directory: string): string[] {
  if (role === 'custodian') {
    return [
      `It answers for no epoch before ${epoch}. Have its enrolment (enrolment.tge in ${directory}) listed in the next roster.`,
    ];
  }
  return role === 'client' ? ['Seal only what is trained from now on.'] : [];
}

export function keysImportCommand(command: Command, output: () => Output): Command {
  return command
    .description('restore a role from its archive; never to something older than what is there')
    .argument('<archive>', 'the archive (.tgx)')
    .requiredOption('--role <dir>', "the role's directory: missing, empty, or this role's")
    .requiredOption('--passphrase-file <file>', "a file of mode 0600 with the archive's passphrase")
    .option(
      '--epoch <number>',
      "of a custodian: the least epoch of its new key, where the fleet's has moved on since",
      integerOption(1, MAX_EPOCH),
    )
    .action(async (archive: string, options: ImportCommandOptions) => {
      const { role: directory, passphraseFile, epoch } = options;
      const imported = await importRole({
        archive,
        passphraseFile,
        directory,
        ...(epoch !== undefined && { minEpoch: epoch }),
      });
      const { role, id, fleet, done } = imported;
      output().result({ restored: directory, ...imported }, [
        done === 'now'
          ? `${role} "${id}" of fleet "${fleet}" is restored in ${directory}.`
          : `This archive was imported into ${directory} before; nothing was changed.`,
        ...advice(imported, directory),
      ]);
    });
}
