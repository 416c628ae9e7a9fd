/** JSON values in the store, checked on the way out: what another version or another program wrote is refused. */
import type { z } from 'zod';
import { EnvironmentError } from '../../errors.js';
import type { StateStore } from '../../store/store.js';

export interface Versioned<T> {
  readonly value: T;
  readonly revision: number;
}

export function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** @throws EnvironmentError `store.unreadable-value` */
export function decodeJson<T>(schema: z.ZodType<T>, key: string, bytes: Uint8Array): T {
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw unreadable(key, cause);
  }
  const parsed = schema.safeParse(document);
  if (!parsed.success) throw unreadable(key, parsed.error);
  return parsed.data;
}

export async function readJson<T>(
  state: StateStore,
  schema: z.ZodType<T>,
  key: string,
): Promise<Versioned<T> | undefined> {
  const stored = await state.get(key);
  return stored && { value: decodeJson(schema, key, stored.value), revision: stored.revision };
}

/** @returns whether the key had no value before */
export async function createJson(state: StateStore, key: string, value: unknown): Promise<boolean> {
  return (await state.create(key, encodeJson(value))) !== undefined;
}

/**
 * Reads, changes and writes until no other process was in between.
 *
 * @param change gets the present value; returns the next one, or undefined to leave it
 * @returns what is stored afterwards
 */
export async function changeJson<T>(
  state: StateStore,
  schema: z.ZodType<T>,
  key: string,
  change: (value: T | undefined) => T | undefined,
): Promise<T | undefined> {
  for (;;) {
    const before = await readJson(state, schema, key);
    const next = change(before?.value);
    if (next === undefined) return before?.value;
    const bytes = encodeJson(next);
    const revision =
      before === undefined ? await state.create(key, bytes) : await state.update(key, bytes, before.revision);
    if (revision !== undefined) return next;
  }
}

export async function* listJson<T>(
  state: StateStore,
  schema: z.ZodType<T>,
  prefix: string,
): AsyncGenerator<{ readonly key: string } & Versioned<T>, void, void> {
  for await (const { key } of state.list(prefix)) {
    const found = await readJson(state, schema, key);
    if (found !== undefined) yield { key, ...found };
  }
}

function unreadable(key: string, cause: unknown): EnvironmentError {
  return new EnvironmentError(
    'store.unreadable-value',
    `What the store holds under "${key}" is not what this version writes. Do not mix versions on one store.`,
    { cause },
  );
}
