/**
 * From where a robot with error feedback trains: the release, and what the robot has learned already and not delivered yet. A
 * robot that trained from the release alone would learn that again, and owe it twice.
 */
import { settleResiduals, type TrustedPlan } from '../../../lib/index.js';
import { tensorPlaces } from '../../../lib/pipeline/value-layout.js';
import { openClient } from '../../../lib/round/client-directory.js';
import { residualShape } from '../../../lib/round/residuals.js';
import { factorTensors, readLora, writeLora } from '../policy/adapter-files.js';
import { copyLora } from '../policy/lora.js';
import { ROLE_OPTIONS } from './encrypted-fleet.js';

export interface OwnStart {
  readonly clientDirectory: string;
  /** Of the last round that the robot took part in, which says how its residual is laid out. */
  readonly lastPlan: TrustedPlan;
  /** Directories: of the release, and of the adapter to write. */
  readonly release: string;
  readonly out: string;
}

/** Writes the adapter to train from, and to seal against. */
export async function writeOwnStart({ clientDirectory, lastPlan, release, out }: OwnStart): Promise<void> {
  const { lora, base } = await readLora(release);
  const start = copyLora(lora);
  const tensors = new Map(factorTensors(start).map(({ name, data }) => [name, data]));
  const { client, close } = await openClient(clientDirectory, ROLE_OPTIONS);
  try {
    const { residuals, state } = client;
    if (residuals === undefined) throw new TypeError(`${client.id} keeps no residual`);
    await settleResiduals(residuals, state);
    const { policy, schemaKey, valueCount } = residualShape(lastPlan.body);
    const owed = await residuals.openCommitted(policy, schemaKey, valueCount);
    try {
      for (const { tensor, elementCount, firstElement } of owed === undefined
        ? []
        : tensorPlaces(lastPlan.body)) {
        const values = new Float32Array(elementCount);
        await owed?.read(firstElement, values);
        const into = tensors.get(tensor.name) as Float32Array;
        for (let i = 0; i < into.length; i += 1) into[i] = (into[i] as number) + (values[i] as number);
      }
    } finally {
      await owed?.close();
    }
  } finally {
    close();
  }
  await writeLora(out, start, base);
}
