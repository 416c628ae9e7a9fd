/** Settings of two adapters that are not the same: a rank or an alpha changes what the same tensors do. */
import { isDeepStrictEqual } from 'node:util';
import type { AdapterConfig } from './peft-config.js';

export interface SettingChange {
  readonly name: string;
  /** Absent where the configuration has no such key. */
  readonly a?: unknown;
  readonly b?: unknown;
}

/** By name. Lists are compared in their order. */
export function compareConfigs(a: AdapterConfig, b: AdapterConfig): SettingChange[] {
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
  return names
    .filter((name) => !isDeepStrictEqual(a[name], b[name]))
    .map((name) => ({
      name,
      ...(name in a && { a: a[name] }),
      ...(name in b && { b: b[name] }),
    }));
}
