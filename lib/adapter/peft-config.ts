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
  r: z.int().min(0).optional(),
  lora_alpha: z.number().optional(),
  target_modules: nameList.nullish(),
  modules_to_save: z.array(z.string()).nullish(),
  rank_pattern: z.record(z.string(), z.unknown()).nullish(),
  use_dora: z.boolean().nullish(),
});

/** What the same keys hold for LoRA: elsewhere r may be 0 (OFT), and a rank pattern be masks (AdaLoRA). */
const loraRanksSchema = z.looseObject({
  r: z.int().positive().optional(),
  rank_pattern: z.record(z.string(), z.int().positive()).nullish(),
});

/** The fields that matter here, and all others as they stood. */
export type AdapterConfig = z.infer<typeof adapterConfigSchema>;

/** The PEFT type that this package checks the tensors of. */
export const LORA_PEFT_TYPE = 'LORA';

/** What is accepted where no envelope lists other types. */
export const DEFAULT_PEFT_TYPES: readonly string[] = [LORA_PEFT_TYPE];

/** Whether `peftTypes`, in PEFT's own spelling (`LORA`, `IA3`, `PROMPT_TUNING`), lists the configured type. */
export function peftTypeAllowed(
  config: Pick<AdapterConfig, 'peft_type'>,
  peftTypes: readonly string[],
): boolean {
  return peftTypes.includes(config.peft_type);
}

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
 * @param peftTypes the PEFT types that the envelope lists
 * @throws FormatError `adapter.config-too-large`, `adapter.config-malformed`,
 *   `adapter.config-duplicate-key`, `adapter.config-invalid`; RefusedError
 *   `adapter.peft-type-unsupported` for a type that is not listed
 */
export function parseAdapterConfig(
  bytes: Uint8Array,
  source: string,
  peftTypes: readonly string[] = DEFAULT_PEFT_TYPES,
): AdapterConfig {
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
  const value: unknown = JSON.parse(text);
  const config = checked(adapterConfigSchema.safeParse(value), source);
  if (config.peft_type === LORA_PEFT_TYPE) checked(loraRanksSchema.safeParse(value), source);
  if (!peftTypeAllowed(config, peftTypes)) {
    throw new RefusedError(
      'adapter.peft-type-unsupported',
      `${source} configures ${quoteName(config.peft_type)}; ${describeAllowed(peftTypes)}`,
    );
  }
  return config;
}

function describeAllowed(peftTypes: readonly string[]): string {
  if (peftTypes === DEFAULT_PEFT_TYPES) return 'only LORA adapters can be aggregated.';
  return `the envelope allows ${peftTypes.length === 0 ? 'none' : peftTypes.map(quoteName).join(', ')}. Add it to the envelope's peftTypes, or train another adapter.`;
}

function checked<T>(parsed: z.ZodSafeParseResult<T>, source: string): T {
  if (parsed.success) return parsed.data;
  throw new FormatError(
    'adapter.config-invalid',
    `${source} is no PEFT configuration: ${z.prettifyError(parsed.error).replace(/\s*\n\s*/g, ' ')}`,
  );
}
