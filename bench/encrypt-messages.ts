/** What the benchmark and a process with a forced instruction set say to each other. */
import { z } from 'zod';

/**
 * `native`: from quantized integers to packed bytes and shares, without the message digest. `digest`: the GMAC over
 * the values that hedges the randomness. `whole`: the public call, which does both.
 */
export const ENCRYPT_PARTS = ['native', 'digest', 'whole'] as const;
export type EncryptPart = (typeof ENCRYPT_PARTS)[number];

export const encryptRequestSchema = z.strictObject({
  part: z.enum(ENCRYPT_PARTS),
  workload: z.strictObject({
    bits: z.int().min(2).max(8),
    maxClients: z.int().min(1),
    valueCount: z.int().min(1),
  }),
});
export type EncryptRequestMessage = z.infer<typeof encryptRequestSchema>;

export const encryptReplySchema = z.union([
  z.strictObject({ wall: z.number().positive(), processor: z.number().nonnegative() }),
  z.strictObject({ error: z.string() }),
]);
export type EncryptReplyMessage = z.infer<typeof encryptReplySchema>;
