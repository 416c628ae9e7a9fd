/** What custodians' agents said last of their keys, in the store that all servers share. */
import { z } from 'zod';
import { type CustodyStatus, custodyStatusSchema } from '../../observability/custody-status.js';
import { unixMsSchema } from '../../package/messages/common.js';
import type { StateStore } from '../../store/store.js';
import { changeJson, readJson } from '../state/json-state.js';
import { CUSTODY_PREFIX, keySegment } from '../state/keys.js';

const reportedSchema = z.strictObject({
  status: custodyStatusSchema,
  /** By the server's clock. */
  receivedAtMs: unixMsSchema,
});
export type ReportedCustody = Readonly<z.infer<typeof reportedSchema>>;

export class CustodyBook {
  constructor(private readonly state: StateStore) {}

  /** An earlier status than the present one changes nothing: a request that was held up. @returns whether it is new */
  async put(custodian: string, status: CustodyStatus, receivedAtMs: number): Promise<boolean> {
    const stored = await changeJson(this.state, reportedSchema, keyOf(custodian), (present) =>
      present !== undefined && present.status.atMs >= status.atMs ? undefined : { status, receivedAtMs },
    );
    return stored?.status === status;
  }

  async of(custodian: string): Promise<ReportedCustody | undefined> {
    return (await readJson(this.state, reportedSchema, keyOf(custodian)))?.value;
  }
}

function keyOf(custodian: string): string {
  return `${CUSTODY_PREFIX}.${keySegment(custodian)}`;
}
