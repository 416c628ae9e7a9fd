/** Alerts of rollouts as they are stored, logged and shown: a code for programs, a sentence for people. */
import { z } from 'zod';
import { unixMsSchema } from '../../package/messages/common.js';
import { releaseName } from '../../package/release-reference.js';
import type { RolloutAlert } from '../../rollout/effects.js';

export const rolloutAlertSchema = z.strictObject({
  /** Counts up within a policy. */
  number: z.int().min(1),
  atMs: unixMsSchema,
  /** Of the release whose rollout it is about. */
  rollout: z.int().min(1),
  code: z.string().min(1).max(64),
  message: z.string().min(1).max(2048),
});

export type StoredAlert = Readonly<z.infer<typeof rolloutAlertSchema>>;

/** More are counted, not named: the whole fleet may be meant. */
const MAX_NAMED_CLIENTS = 20;

export function alertMessage(alert: RolloutAlert): string {
  switch (alert.code) {
    case 'verdict-failed':
      return `The verdict ${alert.verdict} on the adapter failed.`;
    case 'verdict-inconclusive':
      return `The verdict ${alert.verdict} is inconclusive: the release waits for one that passed.`;
    case 'analysis-failed':
      return `An analysis of step ${alert.step} failed: ${failedConditions(alert)}.`;
    case 'paused':
      return `Step ${alert.step} is paused (${alert.reason}): nobody more is offered the release until somebody decides.`;
    case 'rolling-back':
      return `The release is withdrawn (${alert.cause}). The owner has to sign a release that goes back.`;
    case 'rollback-release-outstanding':
      return 'The owner has not signed the release that goes back: robots run what was withdrawn.';
    case 'rollback-unconfirmed':
      return `Robots have not confirmed the rollback in time: ${named(alert.clients)}.`;
    case 'unexpected-release':
      return `Client "${alert.client}" says that it runs ${releaseName(alert.runs)}, which it was not to run.`;
    case 'ended':
      return `The rollout has ended: ${alert.phase.name}.`;
  }
}

function failedConditions({ result }: Extract<RolloutAlert, { code: 'analysis-failed' }>): string {
  return result.conditions
    .filter(({ outcome }) => outcome === 'failed')
    .map(({ condition: { metric, must, threshold }, bounds: { lower, upper } }) => {
      const between = `${Number(lower.toPrecision(3))} to ${Number(upper.toPrecision(3))}`;
      return `${metric} must ${must.replaceAll('-', ' ')} ${threshold}, and is from ${between}`;
    })
    .join('; ');
}

function named(clients: readonly string[]): string {
  const more = clients.length - MAX_NAMED_CLIENTS;
  const list = clients.slice(0, MAX_NAMED_CLIENTS).join(', ');
  return more > 0 ? `${list} and ${more} more` : list;
}
