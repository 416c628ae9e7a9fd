/** A recovery key of three officers, two of whom it takes, and ways to damage it. */
import {
  createRecovery,
  type OfficerShare,
  type RecoveryRequest,
} from '../../../../lib/custody/break-glass/officer-shares.js';
import { SecretBytes } from '../../../../lib/custody/secret-bytes.js';

export const request: RecoveryRequest = {
  fleet: 'fleet-a',
  role: 'custodian',
  id: 'custodian-1',
  officers: ['ada', 'grace', 'emmy'],
  threshold: 2,
};

export type Recovery = Awaited<ReturnType<typeof createRecovery>>;

export function newRecovery(changes: Partial<RecoveryRequest> = {}): Promise<Recovery> {
  return createRecovery({ ...request, ...changes });
}

export function bytesOf(secret: SecretBytes): Uint8Array {
  return secret.use((bytes) => Uint8Array.from(bytes));
}

/** The share with other bytes. */
export function withShareBytes(share: OfficerShare, bytes: Uint8Array): OfficerShare {
  return { ...share, share: new SecretBytes(Uint8Array.from(bytes)) };
}

/** Whether a text shows the bytes: as hexadecimal, base64 or decimal numbers, or the larger part of them. */
export function shows(text: string, bytes: Uint8Array): boolean {
  const plain = text.replaceAll(/\s/g, '');
  const part = Buffer.from(bytes.subarray(0, 24));
  return [part.toString('hex'), part.toString('base64'), [...part].join(',')].some((form) =>
    plain.toLowerCase().includes(form.toLowerCase()),
  );
}
