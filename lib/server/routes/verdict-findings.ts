/** A verdict as people read it: what the owner signed, without the signature. Whoever has to trust it takes the file. */
import { openContainer } from '../../package/reader.js';
import type { AccessTable } from '../auth/access.js';
import type { ServerContext } from '../context.js';
import { readAll } from '../files/bodies.js';
import { readStored } from '../files/stored-file.js';
import type { App } from '../http/app-type.js';
import { verdictParams } from '../http/params.js';
import { verdictFindingsSchema } from '../verdicts/shown-findings.js';
import { requireFound } from './found.js';

export const VERDICT_FINDINGS_ACCESS: AccessTable = {
  'GET /v1/verdicts/:fingerprint/findings': { allow: ['owner', 'operator', 'viewer'] },
};

/** As much as the service has taken of one. */
const MAX_VERDICT_BYTES = 1 << 20;

export function registerVerdictFindingsRoutes(app: App, context: ServerContext): void {
  const { store, verdicts } = context;
  app.get(
    '/v1/verdicts/:fingerprint/findings',
    {
      schema: {
        summary: 'What a verdict found, metric by metric, with intervals',
        tags: ['rollouts'],
        params: verdictParams,
        response: { 200: verdictFindingsSchema },
      },
    },
    async ({ params }) => {
      const record = requireFound(await verdicts.find(params.fingerprint), 'verdict');
      const { fingerprint, candidate, baseline, atMs } = record;
      const file = await readAll(readStored(store.blobs, record.file), MAX_VERDICT_BYTES);
      const container = await openContainer(file, 'verdict');
      await container.close();
      const { outcome, attempt, confidence, episodes, looks, metrics, reasons } = container.body;
      return {
        ...{ fingerprint, candidate, baseline, atMs, outcome, attempt, confidence, episodes, looks },
        metrics: metrics.map((metric) => ({ ...metric })),
        reasons: [...reasons],
      };
    },
  );
}
