/** The forked process: times encryption under the instruction set that its environment forces. */
import { encrypt } from '../lib/lwe/encrypt.js';
import { maskKey, messageDigest } from '../lib/lwe/streams.js';
import { encryptedSegment } from '../lib/lwe/wire.js';
import { native } from '../lib/native.js';
import {
  type EncryptPart,
  type EncryptReplyMessage,
  type EncryptRequestMessage,
  encryptRequestSchema,
} from './encrypt-messages.js';
import { measureElapsed } from './measure.js';
import { makeWorkload, requireRoundTrip, type Workload } from './workload.js';

interface Prepared {
  readonly workload: Workload;
  readonly ciphertext: Uint8Array;
  readonly maskKey: Uint8Array;
  readonly digest: Uint8Array;
}

const prepared = new Map<string, Prepared>();

async function prepare(spec: EncryptRequestMessage['workload']): Promise<Prepared> {
  const key = JSON.stringify(spec);
  const known = prepared.get(key);
  if (known) return known;
  const workload = makeWorkload(spec);
  await requireRoundTrip(workload);
  const { plan, seed, planFingerprint, prfKey, values } = workload;
  const made = {
    workload,
    ciphertext: new Uint8Array(plan.ciphertextBytes),
    maskKey: maskKey(seed, plan.parameterSet, planFingerprint),
    digest: messageDigest(prfKey, values),
  };
  prepared.set(key, made);
  return made;
}

function operation(part: EncryptPart, ready: Prepared): () => unknown {
  const { plan, seed, planFingerprint, prfKey, values } = ready.workload;
  const { ciphertext } = ready;
  const custody = { threshold: 1, custodians: 1, threads: 1 };
  switch (part) {
    case 'digest':
      return () => messageDigest(prfKey, values);
    case 'whole':
      return () => encrypt({ plan, seed, planFingerprint, prfKey, values, ciphertext, ...custody });
    case 'native': {
      const job = {
        segments: plan.segments.map(encryptedSegment),
        values,
        ciphertext,
        maskKey: ready.maskKey,
        planFingerprint,
        prfKey,
        messageDigest: ready.digest,
        ...custody,
      };
      return () => native().encrypt(job);
    }
  }
}

async function answer(message: unknown): Promise<EncryptReplyMessage> {
  try {
    const request = encryptRequestSchema.parse(message);
    return await measureElapsed(operation(request.part, await prepare(request.workload)));
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

process.on('message', (message) => {
  void answer(message).then((reply) => process.send?.(reply));
});
// Without a parent there is nobody to measure for.
process.on('disconnect', () => process.exit(0));
