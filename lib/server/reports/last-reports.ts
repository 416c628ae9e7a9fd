/**
 * What each robot said of itself last: one record a client, which only a report with a higher number replaces. Whatever reads
 * robots' reports (metrics, the dashboard) reads them here; a report's age is by `receivedAtMs`, this side's clock.
 */
import { z } from 'zod';
import { RefusedError } from '../../errors.js';
import { type RobotReport, robotReportSchema } from '../../observability/robot-report.js';
import { unixMsSchema } from '../../package/messages/common.js';
import type { StateStore } from '../../store/store.js';
import { IndexedValues } from '../state/indexed-values.js';
import { changeJson, readJson } from '../state/json-state.js';
import { keySegment, REPORT_PREFIX } from '../state/keys.js';

export const receivedReportSchema = z.strictObject({
  report: robotReportSchema,
  /** By the server's clock: a robot's own may be wrong. */
  receivedAtMs: unixMsSchema,
});

export type ReceivedReport = Readonly<z.infer<typeof receivedReportSchema>>;

function keyOf(client: string): string {
  return `${REPORT_PREFIX}.${keySegment(client)}`;
}

export class LastReports {
  readonly #index: IndexedValues<ReceivedReport>;

  constructor(private readonly state: StateStore) {
    this.#index = new IndexedValues<ReceivedReport>(state, receivedReportSchema, REPORT_PREFIX);
  }

  async of(client: string): Promise<ReceivedReport | undefined> {
    return (await readJson(this.state, receivedReportSchema, keyOf(client)))?.value;
  }

  /** The last report of every client that ever sent one, revoked clients included; in any order. */
  async list(): Promise<ReceivedReport[]> {
    return [...(await this.#index.read()).values()].map(({ value }) => value);
  }

  /**
   * Whether a report is one that was not taken yet.
   *
   * @returns false where it is the last one, sent again
   * @throws RefusedError `report.older`, `report.equivocation`
   */
  async isNew(report: RobotReport): Promise<boolean> {
    return isNewer(report, (await this.of(report.client))?.report);
  }

  /**
   * Keeps a report as its client's last one. The same again changes nothing.
   *
   * @throws RefusedError `report.older`, `report.equivocation`
   */
  async keep(report: RobotReport, receivedAtMs: number): Promise<void> {
    await changeJson<ReceivedReport>(this.state, receivedReportSchema, keyOf(report.client), (last) =>
      isNewer(report, last?.report) ? { report, receivedAtMs } : undefined,
    );
  }
}

function isNewer(report: RobotReport, last: RobotReport | undefined): boolean {
  if (last === undefined || report.sequence > last.sequence) return true;
  if (report.sequence < last.sequence) {
    throw new RefusedError(
      'report.older',
      `Report ${report.sequence} of "${report.client}" comes after its report ${last.sequence}. Number reports upwards, ` +
        'across restarts too.',
    );
  }
  // Both come from the schema, which gives fields one order.
  if (JSON.stringify(report) === JSON.stringify(last)) return false;
  throw new RefusedError(
    'report.equivocation',
    `Another report of "${report.client}" has the number ${report.sequence}. Send one again as it was, or under a new number.`,
  );
}
