/**
 * `adapter_config.json`, as PEFT writes it.
 *
 * Only what this package acts on is typed; every other key is kept. The bytes are what is written
 * back, so that a configuration from a newer PEFT survives unchanged.
 */
import { z } from 'zod';
import { FormatError, RefusedError } from '../errors.js';
import { JsonCursor, quoteName } from './json-cursor.js';

/** Real ones have about a kilobyte; `rank_pattern` can make them longer. */
const MAX_CONFIG_BYTES = 1024 * 1024;

const nameList = z.union([z.string(), z.array(z.string())]);

const adapterConfigSchema = z.looseObject({
  peft_type: z.string(),
  base_model_name_or_path: z.string().nullish(),
  r: z.int().positive().optional(),
  lora_alpha: z.number().optional(),
  target_modules: nameList.nullish(),
  modules_to_save: z.array(z.string()).nullish(),
  rank_pattern: z.record(z.string(), z.int().positive()).nullish(),
  use_dora: z.boolean().nullish(),
});

/** The fields that matter here, and all others as they stood. */
export type AdapterConfig = z.infer<typeof adapterConfigSchema>;

/** @throws FormatError `adapter.config-too-large` */
export function checkConfigSize(sizeBytes: number, source: string): void {
  if (sizeBytes > MAX_CONFIG_BYTES) {
    throw new FormatError(
      'adapter.config-too-large',
      `${source} has ${sizeBytes} bytes; at most ${MAX_CONFIG_BYTES} are read.`,
    );
  }
}

/**
 * Parses and checks the bytes of an `adapter_config.json`.
 *
 * @param source what the file is called in messages
 * @throws FormatError `adapter.config-too-large`, `adapter.config-malformed`,
 *   `adapter.config-duplicate-key`, `adapter.config-invalid`; RefusedError
 *   `adapter.peft-type-unsupported` for anything but LoRA
 */
export function parseAdapterConfig(bytes: Uint8Array, source: string): AdapterConfig {
  checkConfigSize(bytes.length, source);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new FormatError('adapter.config-malformed', `${source} is not UTF-8.`, { cause: error });
  }
  const cursor = new JsonCursor(
    text,
    (problem, detail) =>
      new FormatError(
        problem === 'duplicate-key' ? 'adapter.config-duplicate-key' : 'adapter.config-malformed',
        `${source} is not the JSON it should be: ${detail}.`,
      ),
  );
  // JSON.parse would keep the last of two equal keys in silence.
  cursor.skipValue();
  cursor.end();
  const parsed = adapterConfigSchema.safeParse(JSON.parse(text));
  if (!parsed.success) {
    throw new FormatError(
      'adapter.config-invalid',
      `${source} is no PEFT configuration: ${z.prettifyError(parsed.error).replace(/\s*\n\s*/g, ' ')}`,
    );
  }
  if (parsed.data.peft_type !== 'LORA') {
    throw new RefusedError(
      'adapter.peft-type-unsupported',
      `${source} configures ${quoteName(parsed.data.peft_type)}; only LORA adapters can be aggregated.`,
    );
  }
  return parsed.data;
}
