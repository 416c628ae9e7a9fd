/** Policy files: JSON or YAML, read strictly. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { extname } from 'node:path';
import { type Document, parseDocument, visit } from 'yaml';
import { EnvironmentError, FormatError } from '../errors.js';
import { isPresetName, POLICY_PRESET_NAMES, type PolicyPresetName } from './presets.js';
import { type SettingValues, settingsInDocument } from './settings.js';
import { isShallow } from './yaml-nesting.js';

/** A thousand patterns fit. The parser's time grows with the square of keys and errors: seconds at this size. */
export const MAX_POLICY_FILE_BYTES = 64 * 1024;

export interface PolicyFile {
  readonly path: string;
  /** What the file builds on, where it says so. */
  readonly preset?: PolicyPresetName;
  readonly values: SettingValues;
}

/**
 * Reads a policy file: `preset`, and any settings that differ from it. JSON by the extension .json, YAML by
 * .yaml or .yml. YAML's tags and aliases are refused, and so are keys that occur twice, in either.
 *
 * @throws EnvironmentError `policy.file-unreadable`
 * @throws FormatError `policy.file-type`, `policy.file-too-large`, `policy.file-malformed`,
 *   `policy.unknown-preset`, `policy.unknown-field`, `policy.bad-value`
 */
export async function readPolicyFile(path: string): Promise<PolicyFile> {
  const extension = extname(path).toLowerCase();
  if (!['.json', '.yaml', '.yml'].includes(extension)) {
    throw new FormatError(
      'policy.file-type',
      `${path} must be called .json, .yaml or .yml, to say what it is.`,
    );
  }
  const text = await readText(path);
  return policyFileFrom(extension === '.json' ? parseJson(text, path) : parseYaml(text, path), path);
}

async function readText(path: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    // Without O_NONBLOCK (which Windows lacks), opening a pipe waits for a writer for ever.
    const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const stat = await file.stat();
      if (!stat.isFile()) throw new FormatError('policy.file-type', `${path} is not a regular file.`);
      if (stat.size > MAX_POLICY_FILE_BYTES) {
        throw new FormatError(
          'policy.file-too-large',
          `${path} has ${stat.size} bytes; a policy file may have ${MAX_POLICY_FILE_BYTES}.`,
        );
      }
      const buffer = new Uint8Array(stat.size);
      let length = 0;
      while (length < buffer.length) {
        const { bytesRead } = await file.read(buffer, length, buffer.length - length, length);
        if (bytesRead === 0) break;
        length += bytesRead;
      }
      bytes = buffer.subarray(0, length);
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EnvironmentError('policy.file-unreadable', `${path} cannot be read: ${reason}.`, { cause });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw malformed(path, 'it is not UTF-8', cause);
  }
}

function malformed(path: string, reason: string, cause?: unknown): FormatError {
  return new FormatError('policy.file-malformed', `${path} is no policy file: ${reason}.`, { cause });
}

function parseJson(text: string, path: string): unknown {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw malformed(path, `it is not JSON: ${(cause as Error).message}`, cause);
  }
  // JSON.parse lets the last of two equal keys win. JSON is YAML but for tabs, which strings cannot contain.
  parseYaml(text.replaceAll('\t', ' '), path);
  return document;
}

function parseYaml(text: string, path: string): unknown {
  if (!isShallow(text)) throw malformed(path, 'it is nested too deeply');
  try {
    const document = parseDocument(text, {
      version: '1.2',
      schema: 'core',
      strict: true,
      stringKeys: true,
      uniqueKeys: true,
      merge: false,
      prettyErrors: true,
    });
    // A tag that is not known is only a warning to the parser, which then drops it.
    const [problem] = [...document.errors, ...document.warnings];
    if (problem !== undefined) throw malformed(path, firstLine(problem.message), problem);
    refuseIndirection(document, path);
    return document.toJS({ maxAliasCount: 0 });
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    throw malformed(path, firstLine(String(cause)), cause);
  }
}

function firstLine(message: string): string {
  return (message.split('\n', 1)[0] as string).replace(/[.:]$/, '');
}

function refuseIndirection(document: Document, path: string): void {
  visit(document, {
    Alias: (_key, { source }) => {
      throw malformed(path, `it has an alias, *${source}; write the value out`);
    },
    Node: (_key, node) => {
      // A tag that the schema knows would turn one value into another.
      if (node.tag !== undefined) throw malformed(path, `it has a tag, ${node.tag}; leave it away`);
    },
  });
}

function policyFileFrom(document: unknown, path: string): PolicyFile {
  if (document === null || document === undefined) throw malformed(path, 'it is empty');
  if (typeof document !== 'object' || Array.isArray(document)) {
    throw malformed(path, 'it must be an object with `preset` and any sections');
  }
  const { preset, ...sections } = document as Record<string, unknown>;
  const values = settingsInDocument(sections, path);
  if (preset === undefined) return { path, values };
  if (!isPresetName(preset)) {
    throw new FormatError(
      'policy.unknown-preset',
      `${path}: preset is ${JSON.stringify(preset)}; it must be one of ${POLICY_PRESET_NAMES.join(', ')}.`,
    );
  }
  return { path, preset, values };
}
