/** Opening a file that somebody else put there. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { EnvironmentError, FormatError } from '../errors.js';

/**
 * Opens a regular file for reading; the caller closes it. Pipes and devices are refused: they have no
 * size to check anything against, and may never end.
 *
 * @throws EnvironmentError `adapter.file-missing`, `adapter.file-unreadable`; FormatError
 *   `adapter.not-a-file`
 */
export async function openRegularFile(path: string): Promise<{ file: FileHandle; sizeBytes: number }> {
  let file: FileHandle;
  try {
    // Without O_NONBLOCK (which Windows lacks), opening a pipe waits for a writer for ever.
    file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new EnvironmentError(
      missing ? 'adapter.file-missing' : 'adapter.file-unreadable',
      missing
        ? `${path} does not exist. Name a directory that PEFT's save_pretrained wrote.`
        : `${path} cannot be opened: ${(error as Error).message}.`,
      { cause: error },
    );
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw new FormatError('adapter.not-a-file', `${path} is not a regular file.`);
    return { file, sizeBytes: stat.size };
  } catch (error) {
    await file.close();
    throw error;
  }
}
