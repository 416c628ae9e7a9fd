import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openEmbeddedStore } from '../../../lib/store/embedded/embedded-store.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { describeStore } from '../conformance.js';

describeStore('the embedded store', async () => {
  const directory = join(await temporaryDirectory(), 'data');
  return {
    open: () => openEmbeddedStore(directory, { pollMs: 20 }),
    damageBlob: async (digest) => {
      const path = join(directory, 'blobs', digest.slice(0, 2), digest);
      const bytes = await readFile(path);
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
      await writeFile(path, bytes);
    },
  };
});
