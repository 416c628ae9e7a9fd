/** The NATS client, loaded when it is needed: the embedded store, and a robot, do without. */
import { EnvironmentError } from '../../errors.js';

export type Transport = typeof import('@nats-io/transport-node');
export type JetStream = typeof import('@nats-io/jetstream');

export interface NatsPackages {
  readonly transport: Transport;
  readonly jetstream: JetStream;
}

/** Imports a package by its name; replaced in tests. */
export type ImportPackage = (name: string) => Promise<unknown>;

const VERSION = '3.3';

/** @throws EnvironmentError `store.nats-packages` if they are not installed */
export async function loadNatsPackages(
  importPackage: ImportPackage = (name) => import(name),
): Promise<NatsPackages> {
  const [transport, jetstream] = await Promise.all([
    load<Transport>('@nats-io/transport-node', 'connect', importPackage),
    load<JetStream>('@nats-io/jetstream', 'jetstreamManager', importPackage),
  ]);
  return { transport, jetstream };
}

/** `knownExport` tells the package from another of its name. */
async function load<T>(name: string, knownExport: string, importPackage: ImportPackage): Promise<T> {
  let cause: unknown;
  try {
    const imported = await importPackage(name);
    if (typeof imported === 'object' && imported !== null && knownExport in imported) return imported as T;
  } catch (error) {
    cause = error;
  }
  throw new EnvironmentError(
    'store.nats-packages',
    `A store on NATS JetStream needs the package ${name}, which is not here. ` +
      `Run: npm install @nats-io/transport-node@${VERSION} @nats-io/jetstream@${VERSION}`,
    cause === undefined ? undefined : { cause },
  );
}
