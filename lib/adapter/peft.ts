/**
 * PEFT adapters as directories: `adapter_config.json` and `adapter_model.safetensors`.
 */
import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { EnvironmentError, RefusedError } from '../errors.js';
import { replaceFile, syncDirectory } from '../files.js';
import {
  type AdapterConfig,
  checkConfigSize,
  DEFAULT_PEFT_TYPES,
  LORA_PEFT_TYPE,
  parseAdapterConfig,
} from './peft-config.js';
import { openRegularFile } from './regular-file.js';
import {
  openSafetensors,
  type SafetensorsReader,
  type SafetensorsReadOptions,
} from './safetensors-reader.js';
import { type TensorToWrite, writeSafetensors } from './safetensors-writer.js';
import { checkLoraFactors } from './tensor-roles.js';

export const ADAPTER_CONFIG_FILE = 'adapter_config.json';
export const ADAPTER_TENSORS_FILE = 'adapter_model.safetensors';

/** What PEFT's `save_pretrained` puts beside the two; carried over when an adapter is replaced. */
const MODEL_CARD_FILE = 'README.md';

export interface PeftAdapter {
  readonly config: AdapterConfig;
  /** The configuration as it stood in the file: written back, it is the same to the byte. */
  readonly configBytes: Uint8Array;
  /** Open; the caller closes it. */
  readonly tensors: SafetensorsReader;
}

export interface PeftAdapterToWrite {
  readonly configBytes: Uint8Array;
  readonly tensors: readonly TensorToWrite[];
}

export interface LoadPeftAdapterOptions extends SafetensorsReadOptions {
  /**
   * The PEFT types that the envelope lists, in PEFT's spelling; LoRA alone unless told. The tensors of
   * another type are not checked against each other: only LoRA's are known to be factors of a product.
   */
  readonly peftTypes?: readonly string[];
}

export interface WritePeftAdapterOptions {
  /** The PEFT types that may be written; LoRA alone unless told. */
  readonly peftTypes?: readonly string[];
  /** Whether an adapter that is there may be replaced (the default), or is refused. */
  readonly replace?: boolean;
}

/**
 * Opens the adapter in `directory`. If a crash fell between the two renames of a replacement (see
 * {@link writePeftAdapter}), that is the adapter from before it.
 *
 * @throws EnvironmentError `adapter.file-missing`, `adapter.file-unreadable`; FormatError
 *   `adapter.*`, `safetensors.*`; RefusedError `adapter.peft-type-unsupported`
 */
export async function loadPeftAdapter(
  directory: string,
  options: LoadPeftAdapterOptions = {},
): Promise<PeftAdapter> {
  const { peftTypes = DEFAULT_PEFT_TYPES, ...readOptions } = options;
  const previous = previousOf(directory);
  const interrupted = (await list(directory)) === undefined && (await list(previous)) !== undefined;
  const source = interrupted ? previous : directory;
  const configPath = join(source, ADAPTER_CONFIG_FILE);
  const configBytes = await readConfig(configPath);
  const config = parseAdapterConfig(configBytes, configPath, peftTypes);
  const tensors = await openTensors(source, readOptions);
  try {
    if (config.peft_type === LORA_PEFT_TYPE) {
      checkLoraFactors(tensors.names.map((name) => tensors.info(name)));
    }
  } catch (error) {
    await tensors.close();
    throw error;
  }
  return { config, configBytes, tensors };
}

/**
 * Writes an adapter that PEFT loads: into a directory beside `directory`, then renamed into place.
 *
 * `directory` may be absent, empty, or (unless `replace` is false) an adapter: the two files and
 * perhaps a README.md, which stays. Anything else in it is refused rather than deleted. A replacement
 * with the same configuration renames one file, which is atomic. One with another configuration takes
 * two renames, since no portable call swaps two directories; a crash between them leaves the old adapter
 * whole as `.NAME.tensorguard-previous` beside `directory`, where {@link loadPeftAdapter} finds it and
 * the next write puts it back first. After any crash there is the old adapter or the new, never a mixture.
 *
 * @throws RefusedError `adapter.directory-not-empty`, `adapter.peft-type-unsupported`; FormatError and
 *   ParameterError as {@link writeSafetensors} and {@link parseAdapterConfig}
 */
export async function writePeftAdapter(
  directory: string,
  adapter: PeftAdapterToWrite,
  options: WritePeftAdapterOptions = {},
): Promise<void> {
  const target = resolve(directory);
  parseAdapterConfig(adapter.configBytes, `The ${ADAPTER_CONFIG_FILE} to write`, options.peftTypes);
  await restorePrevious(target);
  const present = await list(target);
  const isAdapter =
    present?.includes(ADAPTER_CONFIG_FILE) || present?.includes(ADAPTER_TENSORS_FILE) || false;
  checkReplaceable(directory, present ?? [], isAdapter && options.replace !== false);

  if (isAdapter && (await hasConfig(target, adapter.configBytes))) {
    await writeTensors(target, adapter.tensors);
    await removePrevious(target);
    return;
  }

  const parent = dirname(target);
  await mkdir(parent, { recursive: true });
  const temporary = join(parent, `.${basename(target)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    await mkdir(temporary);
    await replaceFile(join(temporary, ADAPTER_CONFIG_FILE), adapter.configBytes);
    await writeTensors(temporary, adapter.tensors);
    if (present?.includes(MODEL_CARD_FILE)) {
      await copyFile(join(target, MODEL_CARD_FILE), join(temporary, MODEL_CARD_FILE));
    }
    await syncDirectory(temporary);
    if (isAdapter) {
      await removePrevious(target);
      await rename(target, previousOf(target));
    }
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    await restorePrevious(target);
    throw error;
  }
  await syncDirectory(parent);
  await removePrevious(target);
}

/** Where the adapter that is being replaced lies between the two renames. */
/** Where the adapter that is being replaced waits until the new one is in place. */
export function previousOf(directory: string): string {
  const target = resolve(directory);
  return join(dirname(target), `.${basename(target)}.tensorguard-previous`);
}

/** Puts the old adapter back where a crash or an error came between the two renames. */
async function restorePrevious(target: string): Promise<void> {
  const previous = previousOf(target);
  if ((await list(previous)) === undefined || (await list(target)) !== undefined) return;
  await rename(previous, target);
}

async function removePrevious(target: string): Promise<void> {
  await rm(previousOf(target), { recursive: true, force: true });
}

function checkReplaceable(directory: string, present: readonly string[], mayReplace: boolean): void {
  const known = [ADAPTER_CONFIG_FILE, ADAPTER_TENSORS_FILE, MODEL_CARD_FILE];
  const foreign = present.filter((name) => !known.includes(name));
  if (present.length === 0 || (mayReplace && foreign.length === 0)) return;
  const reason = mayReplace
    ? `holds more than an adapter (${foreign.slice(0, 3).join(', ')})`
    : 'is not empty';
  throw new RefusedError(
    'adapter.directory-not-empty',
    `${directory} ${reason}; nothing was written. Name another directory, or empty this one.`,
  );
}

/** The names in a directory, or undefined where there is none. */
async function list(directory: string): Promise<string[] | undefined> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new EnvironmentError(
      'adapter.directory-unreadable',
      `${directory} cannot be listed: ${(error as Error).message}.`,
      { cause: error },
    );
  }
}

async function hasConfig(directory: string, configBytes: Uint8Array): Promise<boolean> {
  const present = await list(directory);
  if (!present?.includes(ADAPTER_CONFIG_FILE)) return false;
  return Buffer.compare(await readConfig(join(directory, ADAPTER_CONFIG_FILE)), configBytes) === 0;
}

async function writeTensors(directory: string, tensors: readonly TensorToWrite[]): Promise<void> {
  // The reference's PyTorch loader refuses a file whose metadata does not say "pt".
  await writeSafetensors(join(directory, ADAPTER_TENSORS_FILE), tensors, { format: 'pt' });
}

async function openTensors(directory: string, options: SafetensorsReadOptions): Promise<SafetensorsReader> {
  try {
    return await openSafetensors(join(directory, ADAPTER_TENSORS_FILE), options);
  } catch (error) {
    const present = error instanceof EnvironmentError ? await list(directory) : [];
    if (!present?.includes('adapter_model.bin')) throw error;
    throw new RefusedError(
      'adapter.pickle-refused',
      `${directory} holds adapter_model.bin, a pickle, which runs code when it is read. Save it with safe_serialization=True.`,
      { cause: error },
    );
  }
}

async function readConfig(path: string): Promise<Buffer> {
  const { file, sizeBytes } = await openRegularFile(path);
  try {
    checkConfigSize(sizeBytes, path);
    return await file.readFile();
  } finally {
    await file.close();
  }
}
