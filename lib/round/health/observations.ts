/** What a client did in one round. */
import { z } from 'zod';

export const OBSERVATIONS = ['success', 'late', 'absent', 'rejected'] as const;

export const observationSchema = z.enum(OBSERVATIONS);

export type Observation = (typeof OBSERVATIONS)[number];
