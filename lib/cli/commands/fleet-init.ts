import { readFile } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { UsageError } from '../../errors.js';
import type { ParameterSetName } from '../../lwe/parameters.js';
import type { SignatureAlgorithm } from '../../package/keys.js';
import { effectivePolicy } from '../../policy/effective.js';
import { type PolicyFile, readPolicyFile } from '../../policy/load.js';
import { POLICY_PRESET_NAMES, type PolicyPresetName } from '../../policy/presets.js';
import { createFleet } from '../../round/fleet.js';
import { integerOption, parameterSetOption } from '../options.js';
import type { Output } from '../output.js';

interface FleetInitOptions {
  readonly clients: number;
  readonly custodians: number;
  readonly threshold: number;
  readonly params: ParameterSetName;
  readonly preset?: PolicyPresetName;
  readonly policy?: string;
  readonly name: string;
  readonly quorumFloor: number;
  readonly postQuantumSignatures: boolean;
}

function askedEncryption(options: FleetInitOptions): Record<string, unknown> {
  return {
    custodians: options.custodians,
    custodianThreshold: options.threshold,
    ...(options.quorumFloor === 2 && { quorum: 2, allowQuorumOfTwo: true }),
  };
}

export function fleetInitCommand(command: Command, output: () => Output): Command {
  return command
    .description('create a fleet on this machine, every role with keys of its own, to try out')
    .argument('<directory>', 'a new or empty directory')
    .requiredOption('--clients <n>', 'robots', integerOption(1, 10_000))
    .option('--custodians <n>', 'custodians', integerOption(1, 255), 4)
    .option('--threshold <t>', 'custodians that must agree to open a round', integerOption(1, 255), 3)
    .addOption(parameterSetOption())
    .addOption(
      new Option('--preset <name>', 'policy preset (default: balanced)').choices([...POLICY_PRESET_NAMES]),
    )
    .option('--policy <file>', 'the policy of every role (.yaml, .json)')
    .option('--name <name>', 'the name of the fleet', 'fleet')
    .option('--quorum-floor <n>', 'the smallest quorum that any plan may have', integerOption(2, 10_000), 3)
    .option('--post-quantum-signatures', 'sign with ML-DSA-65 beside Ed25519', false)
    .action(async (directory: string, options: FleetInitOptions) => {
      if (options.threshold > options.custodians) {
        throw new UsageError(
          'usage.threshold',
          `--threshold ${options.threshold} exceeds --custodians ${options.custodians}.`,
        );
      }
      const out = output();
      const file: PolicyFile | undefined =
        options.policy === undefined ? undefined : await readPolicyFile(options.policy);
      // Without a file, a policy of what was asked for: the preset's four custodians would refuse every plan of another fleet.
      const asked = file === undefined ? { encryption: askedEncryption(options) } : {};
      const { policy, preset } = effectivePolicy({
        file,
        preset: options.preset,
        environment: {},
        overrides: asked,
      });
      if (options.quorumFloor === 2) {
        out.warn(
          'Warning: with a quorum floor of 2, each of two contributors can subtract its own update from the average and ' +
            "read the other's. Keep it at 3 or more.",
        );
      }
      const algorithms: SignatureAlgorithm[] = options.postQuantumSignatures
        ? ['ed25519', 'ml-dsa-65']
        : ['ed25519'];
      const fleet = await createFleet({
        directory,
        name: options.name,
        clients: options.clients,
        custodians: options.custodians,
        threshold: options.threshold,
        parameterSet: options.params,
        quorumFloor: options.quorumFloor,
        maxUpdateBytes: policy.envelope.maxUpdateBytes,
        policyFile:
          options.policy === undefined
            ? { name: 'policy.json', text: `${JSON.stringify({ preset, ...asked }, null, 2)}\n` }
            : { name: `policy${extname(options.policy)}`, text: await readFile(options.policy, 'utf8') },
        signatureAlgorithms: algorithms,
        defaults: { parameterSet: options.params, preset },
      });
      out.result(
        {
          directory: resolve(directory),
          fleet: options.name,
          clients: options.clients,
          custodians: options.custodians,
          threshold: options.threshold,
          ownerKeyId: fleet.ownerKeyId,
          rosterFingerprint: fleet.rosterFingerprint,
        },
        [
          `Fleet "${options.name}" in ${directory}: ${options.clients} clients, ${options.threshold} of ${options.custodians} custodians.`,
          'All keys are on this machine (mode 0600): good for trying out, not for production.',
        ],
      );
    });
}
