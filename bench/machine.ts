/** The machine that a figure was measured on: without it, the figure says nothing. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { native, packageRoot } from '../lib/native.js';

export interface Machine {
  readonly cpuModel: string;
  /** Family, model and stepping, where the system tells them: a virtual machine's name for its CPU may not. */
  readonly cpuSignature: string | undefined;
  /** What the system gives as the clock, if it does; a boosting core runs faster. */
  readonly clockMegahertz: number | undefined;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly lastLevelCacheBytes: number | undefined;
  readonly platform: string;
  readonly instructionSet: string;
  readonly supportedInstructionSets: readonly string[];
  readonly nodeVersion: string;
  readonly opensslVersion: string;
  /** What the addon's own comment section names. */
  readonly compiler: string | undefined;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function cpuSignature(): string | undefined {
  const cpuinfo = readText('/proc/cpuinfo');
  if (cpuinfo === undefined) return undefined;
  const fields = ['cpu family', 'model', 'stepping'].map((name) => {
    const match = new RegExp(`^${name}\\s*:\\s*(\\d+)$`, 'm').exec(cpuinfo);
    return match?.[1] === undefined ? undefined : `${name.replace('cpu ', '')} ${match[1]}`;
  });
  return fields.includes(undefined) ? undefined : fields.join(', ');
}

function lastLevelCacheBytes(): number | undefined {
  let largest: number | undefined;
  for (let index = 0; ; index += 1) {
    const size = readText(`/sys/devices/system/cpu/cpu0/cache/index${index}/size`);
    if (size === undefined) return largest;
    const match = /^(\d+)([KM])/.exec(size);
    if (match?.[1] === undefined) continue;
    largest = Math.max(largest ?? 0, Number(match[1]) * (match[2] === 'M' ? 2 ** 20 : 2 ** 10));
  }
}

function compilerOfAddon(): string | undefined {
  try {
    const loader = createRequire(import.meta.url)('node-gyp-build') as { resolve(directory: string): string };
    const addon = readFileSync(loader.resolve(packageRoot())).toString('latin1');
    return /GCC: \([^)]*\) [\d.]+|(?:[A-Za-z]+ )?clang version [\w.+~-]+/.exec(addon)?.[0];
  } catch {
    return undefined;
  }
}

export function describeMachine(): Machine {
  const [cpu] = cpus();
  return {
    cpuModel: cpu?.model.trim() ?? 'unknown',
    cpuSignature: cpuSignature(),
    clockMegahertz: cpu?.speed || undefined,
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    lastLevelCacheBytes: lastLevelCacheBytes(),
    platform: `${process.platform}-${process.arch}`,
    instructionSet: native().instructionSet,
    supportedInstructionSets: native().supportedInstructionSets,
    nodeVersion: process.version,
    opensslVersion: process.versions.openssl,
    compiler: compilerOfAddon(),
  };
}

/** Instruction sets that the package has kernels for on this architecture, and this machine cannot run. */
export function unsupportedInstructionSets(machine: Machine): string[] {
  const known: Readonly<Record<string, readonly string[]>> = {
    x64: ['scalar', 'avx2', 'avx512'],
    arm64: ['scalar', 'neon'],
  };
  return (known[process.arch] ?? []).filter((name) => !machine.supportedInstructionSets.includes(name));
}

/** Runnable processes over the last minute: beyond the one that measures, each takes from it. */
export function loadAverage(): number {
  return loadavg()[0] as number;
}
