/** A policy: what the owner of a fleet, or one of its sites, allows. */
import { z } from 'zod';
import { FormatError } from '../errors.js';
import { encryptionSchema } from './profiles/encryption.js';
import { expertsSchema } from './profiles/expert-list.js';
import { envelopeSchema } from './profiles/operating-envelope.js';
import { privacySchema } from './profiles/privacy.js';
import { safetySchema } from './profiles/safety.js';
import { trainingSchema } from './profiles/training.js';

/** Every setting of a policy, resolved: nothing is left to a default. */
export const policySchema = z
  .strictObject({
    envelope: envelopeSchema,
    privacy: privacySchema,
    encryption: encryptionSchema,
    training: trainingSchema,
    safety: safetySchema,
    experts: expertsSchema,
  })
  .superRefine(({ privacy, encryption, experts }, context) => {
    const { colluders } = privacy;
    if (colluders >= encryption.quorum) {
      context.addIssue({
        code: 'custom',
        path: ['privacy', 'colluders'],
        message: `is ${colluders}; it must be below encryption.quorum, which is ${encryption.quorum}: somebody honest has to add noise`,
      });
    }
    const names = experts.map(({ name }) => name);
    const repeated = names.find((name, index) => names.indexOf(name) !== index);
    if (repeated !== undefined) {
      context.addIssue({ code: 'custom', path: ['experts'], message: `"${repeated}" occurs twice` });
    }
  });

export type Policy = z.infer<typeof policySchema>;

export const POLICY_SECTIONS = [
  'envelope',
  'privacy',
  'encryption',
  'training',
  'safety',
  'experts',
] as const;
export type PolicySection = (typeof POLICY_SECTIONS)[number];

/** `training.keepRatios[0].modules`, the way errors name a field. */
export function fieldPath(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) =>
      typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`,
    )
    .join('');
}

/**
 * Checks a whole policy, its fields against each other included.
 *
 * @param sourceOf says where a field's value came from, for the message
 * @throws FormatError `policy.contradiction`
 */
export function parsePolicy(
  value: unknown,
  sourceOf: (field: string) => string | undefined = () => undefined,
): Policy {
  const parsed = policySchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => {
    const field = fieldPath(path);
    const source = sourceOf(field);
    return `${field} ${message}${source === undefined ? '' : ` (set by ${source})`}`;
  });
  throw new FormatError('policy.contradiction', `The policy does not hold together: ${problems.join('; ')}.`);
}
