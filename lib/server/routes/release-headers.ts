/** A release as people read it: what its signed header says in the clear. Whoever has to trust it takes the file. */
import { openContainer } from '../../package/reader.js';
import type { AccessTable } from '../auth/access.js';
import type { ServerContext } from '../context.js';
import { StoredFileSource } from '../files/stored-file.js';
import type { App } from '../http/app-type.js';
import { releaseParams } from '../http/params.js';
import { releaseHeaderSchema, shownReleaseFacts } from '../releases/shown-releases.js';
import { requireFound } from './found.js';

export const RELEASE_HEADER_ACCESS: AccessTable = {
  'GET /v1/releases/:counter/header': { allow: ['owner', 'operator', 'viewer'] },
};

export function registerReleaseHeaderRoutes(app: App, context: ServerContext): void {
  const { store, releases, verdicts, offers } = context;
  app.get(
    '/v1/releases/:counter/header',
    {
      schema: {
        summary: 'What a release says in the clear, and the verdict on its adapter',
        tags: ['releases'],
        params: releaseParams,
        response: { 200: releaseHeaderSchema },
      },
    },
    async ({ params }) => {
      const record = requireFound(await releases.find(params.counter), 'release');
      // Its signature was verified before it was stored.
      const container = await openContainer(new StoredFileSource(store.blobs, record.file), 'release');
      await container.close();
      const facts = shownReleaseFacts(container.body);
      const verdict = await verdicts.on(facts.adapterFingerprint);
      return {
        ...facts,
        ...{ fingerprint: record.fingerprint, atMs: record.atMs },
        current: (await offers.currentCounter(facts.policy)) === facts.counter,
        ...(verdict !== undefined && { verdict: { ...verdict } }),
      };
    },
  );
}
