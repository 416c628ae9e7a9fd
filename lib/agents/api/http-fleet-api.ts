/** The service's API over signed HTTP. */
import { z } from 'zod';
import type { CustodyStatus } from '../../observability/custody-status.js';
import type { OpeningReport } from '../../observability/opening-report.js';
import type { RobotReport } from '../../observability/robot-report.js';
import { idSchema, roundSchema } from '../../package/messages/common.js';
import { ApiRefusedError } from '../http/api-errors.js';
import { bodyUntil } from '../http/giving-up.js';
import { bytesBody } from '../http/request-body.js';
import { SignedClient, type SignedClientOptions } from '../http/signed-client.js';
import { download } from './download.js';
import type { FleetApi, RoundSummary, UploadProgress } from './fleet-api.js';
import { fingerprintSchema, type HalfCohort, type WorkItem, workSchema } from './work-items.js';

const MAX_ROSTER_BYTES = 32 << 20;
const MAX_PLAN_BYTES = 20 << 20;
const MAX_ANSWER_BYTES = 128 << 10;
const MAX_CLOSE_BYTES = 4 << 20;
/** No container is longer. */
const MAX_FILE_BYTES = 2 ** 36;
const ROUNDS_LISTED = 100;

const progressSchema = z.object({
  state: z.enum(['incomplete', 'complete', 'received', 'accepted', 'left-out', 'replaced']),
  missing: z.array(z.int().min(0)),
  code: z.string().optional(),
  reason: z.string().optional(),
});
const roundsSchema = z.object({
  rounds: z.array(
    z.object({ plan: fingerprintSchema, policy: idSchema, cohort: idSchema, round: roundSchema }),
  ),
});
/** Answers of which only that they came counts. */
const ignored = z.unknown();

export interface HttpFleetApiOptions extends SignedClientOptions {
  /** Gives up requests, and waits between them. */
  readonly signal: AbortSignal;
}

export class HttpFleetApi implements FleetApi {
  readonly #client: SignedClient;
  /** Makes one attempt: what follows a cut is better than to begin anew. */
  readonly #once: SignedClient;
  readonly #signal: AbortSignal;

  /** @throws ParameterError `http.bad-base-url` */
  constructor({ signal, ...options }: HttpFleetApiOptions) {
    this.#client = new SignedClient(options);
    this.#once = new SignedClient({ ...options, backoff: { ...options.backoff, maxAttempts: 1 } });
    this.#signal = signal;
  }

  work(): Promise<readonly WorkItem[]> {
    // Of a transform, zod's types name the output alone.
    return this.#client.getJson('/v1/work', workSchema, this.#options);
  }

  async roster(known: string): Promise<Uint8Array | undefined> {
    return ifThere(() =>
      this.#client.getBytes('/v1/roster', MAX_ROSTER_BYTES, { ...this.#options, headers: unless(known) }),
    );
  }

  async putRoster(file: Uint8Array): Promise<void> {
    await this.#client.putBytes('/v1/roster', file, 'content-digest', ignored, this.#options);
  }

  async enrol(enrolment: Uint8Array): Promise<void> {
    const call = {
      method: 'POST',
      path: '/v1/enrolments',
      body: bytesBody(enrolment),
      ...this.#options,
    } as const;
    await this.#client.request({ ...call, integrity: 'content-digest' }, (response) =>
      response.arrayBuffer(),
    );
  }

  plan(plan: string): Promise<Uint8Array> {
    return this.#client.getBytes(`/v1/rounds/${plan}/plan`, MAX_PLAN_BYTES, this.#options);
  }

  async putPlan(plan: string, file: Uint8Array): Promise<void> {
    await this.#client.putBytes(`/v1/rounds/${plan}/plan`, file, 'named-by-path', ignored, this.#options);
  }

  async putCohort(cohort: string, half: HalfCohort): Promise<void> {
    await this.#client.sendJson('PUT', `/v1/cohorts/${cohort}`, half, ignored, this.#options);
  }

  async rounds(): Promise<readonly RoundSummary[]> {
    const query = { limit: ROUNDS_LISTED };
    return (await this.#client.getJson('/v1/rounds', roundsSchema, { ...this.#options, query })).rounds;
  }

  uploadProgress(plan: string, update: string): Promise<UploadProgress | undefined> {
    return ifThere(() => this.#client.getJson(updatePath(plan, update), progressSchema, this.#options));
  }

  putUpdate(plan: string, update: string, path: string): Promise<UploadProgress> {
    return this.#once.putFile(updatePath(plan, update), path, progressSchema, this.#options);
  }

  putEnvelope(plan: string, update: string, envelope: Uint8Array): Promise<UploadProgress> {
    const path = `${updatePath(plan, update)}/envelope`;
    return this.#client.putBytes(path, envelope, 'named-by-path', progressSchema, this.#options);
  }

  async putChunk(plan: string, update: string, chunk: number, bytes: Uint8Array): Promise<void> {
    const path = `${updatePath(plan, update)}/chunks/${chunk}`;
    await this.#client.putBytes(path, bytes, 'named-by-path', ignored, this.#options);
  }

  completeUpload(plan: string, update: string): Promise<UploadProgress> {
    const path = `${updatePath(plan, update)}/complete`;
    return this.#client.sendJson('POST', path, {}, progressSchema, this.#options);
  }

  downloadUpdate(plan: string, update: string, out: string): Promise<void> {
    return this.#download(`${updatePath(plan, update)}/file`, out);
  }

  async putPartialSum(plan: string, partialSum: string, path: string): Promise<void> {
    await this.#client.putFile(partialSumPath(plan, partialSum), path, ignored, this.#options);
  }

  downloadPartialSum(plan: string, partialSum: string, out: string): Promise<void> {
    return this.#download(`${partialSumPath(plan, partialSum)}/file`, out);
  }

  downloadAggregate(plan: string, out: string): Promise<void> {
    return this.#download(`/v1/rounds/${plan}/aggregate`, out);
  }

  async putAnswer(plan: string, custodian: string, answer: Uint8Array): Promise<void> {
    const path = `/v1/rounds/${plan}/answers/${custodian}`;
    await this.#client.putBytes(path, answer, 'content-digest', ignored, this.#options);
  }

  async refuseAnswer(plan: string, custodian: string, code: string, reason: string): Promise<void> {
    const path = `/v1/rounds/${plan}/answers/${custodian}/refusal`;
    await this.#client.sendJson('POST', path, { code, reason }, ignored, this.#options);
  }

  answer(plan: string, custodian: string): Promise<Uint8Array> {
    const path = `/v1/rounds/${plan}/answers/${custodian}`;
    return this.#client.getBytes(path, MAX_ANSWER_BYTES, this.#options);
  }

  close(plan: string): Promise<Uint8Array | undefined> {
    return ifThere(() => this.#client.getBytes(`/v1/rounds/${plan}/close`, MAX_CLOSE_BYTES, this.#options));
  }

  async putClose(plan: string, record: Uint8Array): Promise<void> {
    const path = `/v1/rounds/${plan}/close`;
    await this.#client.putBytes(path, record, 'content-digest', ignored, this.#options);
  }

  async putOpening(plan: string, report: OpeningReport): Promise<void> {
    await this.#client.sendJson('PUT', `/v1/rounds/${plan}/opening`, report, ignored, this.#options);
  }

  async putReport(report: RobotReport): Promise<void> {
    const path = `/v1/clients/${report.client}/reports/${report.sequence}`;
    await this.#client.sendJson('PUT', path, report, ignored, this.#options);
  }

  async putCustodyStatus(custodian: string, status: CustodyStatus): Promise<void> {
    await this.#client.sendJson('PUT', `/v1/custody/${custodian}`, status, ignored, this.#options);
  }

  async downloadRelease(
    policy: string | undefined,
    known: string | undefined,
    out: string,
  ): Promise<boolean> {
    const headers = known === undefined ? {} : unless(known);
    const done = await ifThere(async () => {
      await this.#download('/v1/releases/latest', out, { query: { policy }, headers });
      return true;
    });
    return done === true;
  }

  async putRelease(counter: number, path: string): Promise<void> {
    await this.#client.putFile(`/v1/releases/${counter}`, path, ignored, this.#options);
  }

  async putVerdict(fingerprint: string, file: Uint8Array): Promise<void> {
    await this.#client.putBytes(`/v1/verdicts/${fingerprint}`, file, 'named-by-path', ignored, this.#options);
  }

  async startRollout(counter: number): Promise<void> {
    await this.#client.sendJson('POST', '/v1/rollouts', { release: counter }, ignored, this.#options);
  }

  /** The stream of server-sent events, until the signal is aborted. */
  async events(signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const response = await this.#once.openStream('/v1/events', { signal });
    return bodyUntil(response.body, signal);
  }

  get #options(): { readonly signal: AbortSignal } {
    return { signal: this.#signal };
  }

  #download(
    path: string,
    out: string,
    options: { query?: Record<string, string | undefined>; headers?: Record<string, string> } = {},
  ): Promise<void> {
    return download({
      open: (headers, signal) =>
        this.#client.openStream(path, { ...options, headers: { ...options.headers, ...headers }, signal }),
      out,
      maxBytes: MAX_FILE_BYTES,
      signal: this.#signal,
    });
  }
}

function updatePath(plan: string, update: string): string {
  return `/v1/rounds/${plan}/updates/${update}`;
}

function partialSumPath(plan: string, partialSum: string): string {
  return `/v1/rounds/${plan}/partial-sums/${partialSum}`;
}

/** Only if it is another file than this one. */
function unless(fingerprint: string): Record<string, string> {
  return { 'if-none-match': `"${fingerprint}"` };
}

const NOT_MODIFIED = 304;
const NOT_FOUND = 404;

async function ifThere<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    const absent =
      error instanceof ApiRefusedError && (error.status === NOT_MODIFIED || error.status === NOT_FOUND);
    if (absent) return undefined;
    throw error;
  }
}
