/** A served fleet of a thousand robots more, each with a key of its own that it signs its reports with. */
import { z } from 'zod';
import { SignedClient } from '../../../lib/agents/http/signed-client.js';
import { openRole } from '../../../lib/custody/role-directory.js';
import { ROBOT_REPORT_SCHEMA_VERSION } from '../../../lib/observability/robot-report.js';
import { importSecret, type LocalSigningKey } from '../../../lib/package/signing-key.js';
import { containerBytes, encodeContainer } from '../../../lib/package/writer.js';
import { derivedSeed } from '../../round/support/members.js';
import type { ServedTestFleet } from '../../server/support/served-fleet.js';

const anything = z.unknown();

export interface EnrolledRobot {
  readonly id: string;
  readonly key: LocalSigningKey;
}

/** The owner's next roster lists them, and the service takes it. */
export async function enrolRobots(fleet: ServedTestFleet, count: number): Promise<EnrolledRobot[]> {
  const robots = Array.from({ length: count }, (_, i) => {
    const id = `robot-${String(i + 1).padStart(4, '0')}`;
    return { id, key: importSecret({ ed25519: derivedSeed(`${id} ed25519`) }) };
  });
  const { signing, roster, close } = await openRole(fleet.role('owner'), 'owner');
  close();
  const body = {
    ...roster.body,
    version: roster.body.version + 1,
    clients: [
      ...roster.body.clients,
      ...robots.map(({ id, key }) => ({ id, keys: key.publicKeys, status: 'active' as const })),
    ],
  };
  const container = await encodeContainer({ kind: 'roster', body, sections: [], signer: signing });
  const owner = await fleet.api('owner');
  await owner.putBytes('/v1/roster', containerBytes(container), 'content-digest', anything);
  return robots;
}

/** Each robot's report, with its budget for the n-th round. */
export async function robotsReport(
  fleet: ServedTestFleet,
  robots: readonly EnrolledRobot[],
  round: number,
): Promise<void> {
  const baseUrl = fleet.service.address;
  for (const [i, { id, key }] of robots.entries()) {
    const api = new SignedClient({ baseUrl, key, backoff: { maxAttempts: 1 } });
    const report = {
      schema: ROBOT_REPORT_SCHEMA_VERSION,
      ...{ client: id, policy: 'balanced', sequence: round, atMs: Date.now() },
      runs: { counter: 1 + (i % 3), adapterFingerprint: 'ab'.repeat(32) },
      privacy: {
        epsilonSpent: (round * (i + 1)) / robots.length,
        epsilonBudget: 8,
        delta: 1e-6,
        rounds: round,
      },
    };
    await api.sendJson('PUT', `/v1/clients/${id}/reports/${round}`, report, anything);
  }
}
