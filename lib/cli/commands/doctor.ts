import { availableParallelism, cpus, endianness } from 'node:os';
import type { Command } from 'commander';
import Database from 'libsql';
import { generateKemKey, openSealed, sealTo } from '../../custody/hpke.js';
import { TensorGuardError } from '../../errors.js';
import { native } from '../../native.js';
import { createSigningKey } from '../../package/signing-key.js';
import { type EffectiveSetting, listEffectiveSettings } from '../../policy/effective.js';
import { LOG_LEVEL_VARIABLE, logLevelIn } from '../../policy/environment.js';
import { readRolePolicy } from '../../round/role-policy.js';
import type { Output } from '../output.js';
import { type PolicyOptions, policyOptions, policyOverrides } from '../policy-options.js';

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

async function check(name: string, run: () => string | Promise<string>): Promise<Check> {
  try {
    return { name, ok: true, detail: await run() };
  } catch (error) {
    return { name, ok: false, detail: error instanceof Error ? error.message : String(error) };
  }
}

function requireThat(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

const CHECKS: readonly [name: string, run: () => string | Promise<string>][] = [
  [
    'node',
    () => {
      const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
      requireThat(
        major > 20 || (major === 20 && minor >= 19),
        `Node ${process.version} is too old; install 20.19 or newer`,
      );
      return `${process.version} on ${process.platform}-${process.arch}`;
    },
  ],
  [
    'byte order',
    () => {
      requireThat(
        endianness() === 'LE',
        'this machine is big-endian; the formats are read in place as little-endian',
      );
      return 'little-endian';
    },
  ],
  [
    'native addon',
    () => {
      const { instructionSet, supportedInstructionSets } = native();
      return `${instructionSet} (this machine runs ${supportedInstructionSets.join(', ')})`;
    },
  ],
  ['processor', () => `${cpus()[0]?.model.trim() ?? 'unknown'}, ${availableParallelism()} threads`],
  [
    'ledger database',
    () => {
      const database = new Database(':memory:');
      try {
        const row = database.prepare('SELECT sqlite_version() AS version').get() as { version: string };
        return `SQLite ${row.version}`;
      } finally {
        database.close();
      }
    },
  ],
  [
    'sealing (HPKE, X-Wing)',
    async () => {
      const key = await generateKemKey();
      const info = new Uint8Array([1]);
      const sealed = await sealTo(key.publicKey, info, new Uint8Array([42]));
      const opened = await key.seed.use((seed) => openSealed(seed, info, sealed));
      requireThat(opened[0] === 42, 'what was sealed did not open');
      return 'seals and opens';
    },
  ],
  [
    'signatures (Ed25519, ML-DSA-65)',
    async () => {
      const key = createSigningKey(['ed25519', 'ml-dsa-65']);
      for (const algorithm of key.algorithms) await key.sign(algorithm, new Uint8Array([1]));
      return key.algorithms.join(', ');
    },
  ],
];

interface DoctorOptions extends PolicyOptions {
  readonly role: string;
}

async function effectiveSettings(
  options: DoctorOptions,
): Promise<{ readonly effective: readonly EffectiveSetting[]; readonly error?: string }> {
  try {
    const logLevel = logLevelIn(process.env);
    const effective = await readRolePolicy(options.role, {
      file: options.policy,
      overrides: policyOverrides(options),
    });
    return {
      effective: [
        ...listEffectiveSettings(effective),
        {
          field: 'logLevel',
          environmentName: LOG_LEVEL_VARIABLE,
          value: logLevel,
          source: process.env[LOG_LEVEL_VARIABLE] ? `environment ${LOG_LEVEL_VARIABLE}` : 'default',
        },
      ],
    };
  } catch (error) {
    if (!(error instanceof TensorGuardError)) throw error;
    return { effective: [], error: error.message };
  }
}

export function doctorCommand(command: Command, output: () => Output): Command {
  return policyOptions(command)
    .description('check that everything this package needs works on this machine')
    .option('--role <dir>', 'show the effective policy of the role in this directory', '.')
    .action(async (options: DoctorOptions) => {
      const checks: Check[] = [];
      for (const [name, run] of CHECKS) checks.push(await check(name, run));
      const { effective, error } = await effectiveSettings(options);
      const environment = Object.fromEntries(
        Object.entries(process.env).filter(([name]) => name.startsWith('TENSORGUARD_')),
      );
      if (error !== undefined) checks.push({ name: 'policy', ok: false, detail: error });
      output().result({ ok: checks.every(({ ok }) => ok), checks, environment, policy: effective }, [
        ...checks.map(({ name, ok, detail }) => `${ok ? 'ok  ' : 'FAIL'}  ${name}: ${detail}`),
        ...Object.entries(environment).map(([name, value]) => `set   ${name}=${value}`),
        ...effective.map(
          ({ field, value, source }) => `policy  ${field} = ${JSON.stringify(value)}  (${source})`,
        ),
      ]);
      if (!checks.every(({ ok }) => ok)) process.exitCode = 1;
    });
}
