/** Keeping a member's roster current: the owner's newest, by way of a service that nobody has to trust with it. */
import { join } from 'node:path';
import { hex } from '../custody/fields.js';
import { readTrustedRoster, type TrustedRoster } from '../custody/roster.js';
import { ROSTER_FILE } from '../custody/roster-archive.js';
import { openRosterPin } from '../custody/roster-pin.js';
import { RefusedError } from '../errors.js';
import { openContainer } from '../package/reader.js';
import { joinFleet } from '../round/enrolment/join-fleet.js';
import { type AgentLog, errorFields } from './agent-log.js';
import type { FleetApi } from './api/fleet-api.js';

export interface RosterSyncOptions {
  readonly api: Pick<FleetApi, 'roster'>;
  readonly directory: string;
  readonly log: AgentLog;
}

export class RosterSync {
  #refused: string | undefined;

  constructor(private readonly options: RosterSyncOptions) {}

  /**
   * Asks for another roster than the one that is here, and accepts it as `fleet join` does. One that is refused (older, of
   * another owner, one of two with one version) leaves the member as it was: it goes on under the roster that it has.
   *
   * @throws what `FleetApi.roster` throws
   */
  async sync(): Promise<void> {
    const { api, directory, log } = this.options;
    const file = await api.roster(await rosterFingerprint(directory));
    if (file === undefined) return;
    try {
      const { roster, standing } = await joinFleet({ directory, file });
      this.#refused = undefined;
      const { version } = roster.body;
      log.write(standing === 'active' || standing === 'listed' ? 'info' : 'warn', 'roster.accepted', {
        version,
        standing,
      });
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      // Said once: a server that was restored from a backup offers its old one until the owner's agent comes by.
      if (this.#refused !== error.code) log.write('error', 'roster.refused', errorFields(error));
      this.#refused = error.code;
    }
  }
}

/** Of the roster in a role's directory, 64 hexadecimal digits. */
export async function rosterFingerprint(directory: string): Promise<string> {
  const container = await openContainer(join(directory, ROSTER_FILE), 'roster');
  await container.close();
  return hex(container.fingerprint);
}

/** The roster of a role's directory, held against its pin. Needs no key: none is unlocked for it. */
export async function currentRoster(directory: string): Promise<TrustedRoster> {
  const pin = await openRosterPin(directory);
  try {
    return await readTrustedRoster(join(directory, ROSTER_FILE), pin);
  } finally {
    pin.close();
  }
}
