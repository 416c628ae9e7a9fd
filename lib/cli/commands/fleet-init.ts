import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { UsageError } from '../../errors.js';
import type { ParameterSetName } from '../../lwe/parameters.js';
import { keyIdOf } from '../../package/keys.js';
import { foundFleet, readFounders } from '../../round/enrolment/found-fleet.js';
import { createFleet } from '../../round/fleet.js';
import type { FleetSettings } from '../../round/fleet-directory.js';
import { idOption, signatureAlgorithmsOf } from '../member-options.js';
import { integerOption, parameterSetOption } from '../options.js';
import type { Output } from '../output.js';
import { addPolicyFileOptions, newPolicy, type PolicyFileOptions } from '../policy-file-options.js';
import {
  addWrapperOptions,
  UNWRAPPED_WARNING,
  type WrapperOptions,
  wrapperConfigOf,
} from '../wrapper-options.js';

interface FleetInitOptions extends PolicyFileOptions, WrapperOptions {
  readonly clients?: number;
  readonly custodians?: number;
  readonly gateways: number;
  readonly members?: readonly string[];
  readonly threshold?: number;
  readonly params: ParameterSetName;
  readonly name: string;
  readonly quorumFloor: number;
  readonly postQuantumSignatures: boolean;
}

const DEFAULT_CUSTODIANS = 4;
const DEFAULT_THRESHOLD = 3;

function askedEncryption(
  custodians: number,
  threshold: number,
  quorumFloor: number,
): Record<string, unknown> {
  return {
    custodians,
    custodianThreshold: threshold,
    ...(quorumFloor === 2 && { quorum: 2, allowQuorumOfTwo: true }),
  };
}

/** What both kinds of fleet are told. */
async function fleetSettings(
  directory: string,
  options: FleetInitOptions,
  custodians: number,
  threshold: number,
): Promise<FleetSettings> {
  if (threshold > custodians) {
    const given = options.members === undefined ? '--custodians' : 'the number of custodians in --members,';
    throw new UsageError('usage.threshold', `--threshold ${threshold} exceeds ${given} ${custodians}.`);
  }
  // Without a file, a policy of what was asked for: the preset's four custodians would refuse every plan of another fleet.
  const { policy, preset, file } = await newPolicy(options, {
    encryption: askedEncryption(custodians, threshold, options.quorumFloor),
  });
  return {
    directory,
    name: options.name,
    threshold,
    parameterSet: options.params,
    quorumFloor: options.quorumFloor,
    maxUpdateBytes: policy.envelope.maxUpdateBytes,
    policyFile: file,
    signatureAlgorithms: signatureAlgorithmsOf(options),
    defaults: { parameterSet: options.params, preset },
  };
}

function warnOfQuorum(out: Output, quorumFloor: number): void {
  if (quorumFloor > 2) return;
  out.warn(
    'Warning: with a quorum floor of 2, each of two contributors can subtract its own update from the average and ' +
      "read the other's. Keep it at 3 or more.",
  );
}

async function createHere(
  out: Output,
  directory: string,
  options: FleetInitOptions,
  clients: number,
): Promise<void> {
  const { custodians = DEFAULT_CUSTODIANS, threshold = DEFAULT_THRESHOLD, gateways, name } = options;
  const settings = await fleetSettings(directory, options, custodians, threshold);
  warnOfQuorum(out, settings.quorumFloor);
  const fleet = await createFleet({ ...settings, clients, custodians, gateways });
  out.result(
    {
      ...{ directory: resolve(directory), fleet: name, clients, custodians, threshold },
      ...{ ownerKeyId: fleet.ownerKeyId, rosterFingerprint: fleet.rosterFingerprint },
    },
    [
      `Fleet "${name}" in ${directory}: ${clients} clients, ${threshold} of ${custodians} custodians.`,
      `Owner's key id ${Buffer.from(fleet.ownerKeyId).toString('hex')}.`,
      'All keys are on this machine (mode 0600): good for trying out, not for production.',
    ],
  );
}

async function foundFromMembers(
  out: Output,
  directory: string,
  options: FleetInitOptions,
  files: readonly string[],
  threshold: number,
): Promise<void> {
  const { name } = options;
  const founders = await readFounders(files, name);
  const count = (role: string): number => founders.filter(({ body }) => body.role === role).length;
  const [clients, custodians] = [count('client'), count('custodian')];
  const settings = await fleetSettings(directory, options, custodians, threshold);
  const wrapper = await wrapperConfigOf(options);
  warnOfQuorum(out, settings.quorumFloor);
  if (wrapper.kind === 'none') out.warn(UNWRAPPED_WARNING);
  const fleet = await foundFleet({ ...settings, founders, wrapper });
  const members = founders.map(({ body: { role, id, keys } }) => ({ role, id, keyId: keyIdOf(keys) }));
  out.result(
    {
      ...{ directory: resolve(directory), fleet: name, clients, custodians, threshold, members },
      ...{ made: fleet.made, wrapper: wrapper.kind },
      ...{ ownerKeyId: fleet.ownerKeyId, rosterFingerprint: fleet.rosterFingerprint },
    },
    [
      ...members.map(
        ({ role, id, keyId }) =>
          `${role} "${id}": key id ${Buffer.from(keyId).toString('hex')}. Compare it with what the machine printed.`,
      ),
      `Fleet "${name}" in ${directory}: ${clients} clients, ${threshold} of ${custodians} custodians. Made here: ${fleet.made.join(', ')}.`,
      `Owner's key id ${Buffer.from(fleet.ownerKeyId).toString('hex')}: tell it to every machine by a channel that you trust.`,
      `Distribute ${directory}/roster.tgo: every machine takes it with "fleet join --owner-key-id".`,
    ],
  );
}

export function fleetInitCommand(command: Command, output: () => Output): Command {
  const wrong = (message: string): never => command.error(`error: ${message}`, { exitCode: 2 });
  addPolicyFileOptions(
    command
      .description(
        'create a fleet: of members that were set up where they live, or all of it on this machine, to try out',
      )
      .argument('<directory>', 'a new or empty directory')
      .option('--clients <n>', 'to try out: robots, made here', integerOption(1, 10_000))
      .option(
        '--custodians <n>',
        `to try out: custodians, made here (default: ${DEFAULT_CUSTODIANS})`,
        integerOption(1, 255),
      )
      .option('--gateways <n>', "to try out: sites' gateways, made here", integerOption(0, 100), 0)
      .addOption(
        new Option('--members <files...>', 'the enrolments (.tge) of its members').conflicts([
          'clients',
          'custodians',
          'gateways',
        ]),
      )
      .option(
        '--threshold <t>',
        `custodians that must agree to open a round (default without --members: ${DEFAULT_THRESHOLD})`,
        integerOption(1, 255),
      )
      .addOption(parameterSetOption())
      .option('--name <name>', 'the name of the fleet', idOption, 'fleet')
      .option('--quorum-floor <n>', 'the smallest quorum that any plan may have', integerOption(2, 10_000), 3)
      .option('--post-quantum-signatures', 'sign with ML-DSA-65 beside Ed25519', false),
  );
  return addWrapperOptions(command).action(async (directory: string, options: FleetInitOptions) => {
    const { members, clients, threshold } = options;
    if (members !== undefined) {
      if (threshold === undefined) return wrong("option '--members' needs '--threshold <t>'");
      return foundFromMembers(output(), directory, options, members, threshold);
    }
    if (clients === undefined) return wrong("one of '--members <files...>' and '--clients <n>' is required");
    // A fleet to try out rests unwrapped: an option that changed nothing would be taken for one that did.
    if (options.wrapper !== 'none') return wrong("option '--wrapper' needs '--members <files...>'");
    await wrapperConfigOf(options);
    return createHere(output(), directory, options, clients);
  });
}
