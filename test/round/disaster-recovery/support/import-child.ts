/** Imports an archive in a process of its own. */
import { TensorGuardError } from '../../../../lib/errors.js';
import { DirectorySwap } from '../../../../lib/round/disaster-recovery/directory-swap.js';
import { importRole } from '../../../../lib/round/disaster-recovery/import-role.js';
import { countWrites } from '../../../custody/support/kill-point.js';

export interface ImportChildArgument {
  readonly archive: string;
  readonly passphraseFile: string;
  readonly directory: string;
  /** Which writes count: all, or only those that put the restored directory in place. */
  readonly counted: 'all' | 'commit';
}

const argument = JSON.parse(process.argv[2] ?? '') as ImportChildArgument;

const { commit } = DirectorySwap.prototype;
DirectorySwap.prototype.commit = function (this: DirectorySwap, staged: string): Promise<void> {
  countWrites(true);
  return commit.call(this, staged);
};

async function imported(): Promise<unknown> {
  countWrites(argument.counted === 'all');
  try {
    return await importRole(argument);
  } catch (error) {
    if (!(error instanceof TensorGuardError)) throw error;
    return { code: error.code };
  } finally {
    countWrites(false);
  }
}

const result = await imported();
process.send?.(result, () => process.disconnect());
