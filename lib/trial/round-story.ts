/** A round told in lines for people, from what changes in its state. */
import { acceptedUpdates, type RoundState, sentUpdates } from '../round/machine/state.js';

export interface FileSizes {
  /** Of an update, by its fingerprint. */
  update(fingerprint: string): Promise<number>;
  aggregate(): Promise<number>;
}

/** What is in `after` and was not in `before`, in the order in which it happens. */
export async function newLines(
  before: RoundState | undefined,
  after: RoundState,
  sizes: FileSizes,
): Promise<string[]> {
  const { settings } = after;
  const lines: string[] = [];
  if (before === undefined) {
    lines.push(
      `The owner planned round ${settings.key.round}: at least ${settings.quorum} of ${after.members.length} robots.`,
    );
  }
  const known = new Set(before === undefined ? [] : sentUpdates(before).map(({ client }) => client));
  for (const { client, update } of sentUpdates(after)) {
    if (known.has(client)) continue;
    const bytes = await sizes.update(update.fingerprint);
    lines.push(`${client} sealed its delta and sent it: ${bytes} bytes, verified while it came.`);
  }
  if (after.aggregate !== undefined && before?.aggregate === undefined) {
    const { 'sealed-off': sealedOff, 'awaiting-answers': summed } = after.enteredAtMs;
    const took = sealedOff === undefined || summed === undefined ? '' : ` in ${summed - sealedOff} ms`;
    lines.push(
      `The service added ${acceptedUpdates(after).length} ciphertexts${took}: ${await sizes.aggregate()} bytes. It cannot read them.`,
    );
  }
  const answered = before?.answers.length ?? 0;
  for (const { custodian } of after.answers.slice(answered)) {
    lines.push(`${custodian} answered for the sum, sealed to the owner.`);
  }
  if (after.close?.opened === true && before?.close === undefined) {
    lines.push('The owner opened the sum, recomputed it from the signed updates, and closed the round.');
  }
  if (after.release !== undefined && before?.release === undefined) {
    lines.push('The owner released the average, encrypted to the robots.');
  }
  return lines;
}
