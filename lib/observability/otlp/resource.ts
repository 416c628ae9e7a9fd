/** Who sends: the role of a process, and what `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` add to it or put in its place. */

export interface Service {
  readonly role: 'client' | 'gateway' | 'aggregator' | 'custodian' | 'owner';
  /** Of the package. */
  readonly version: string;
}

type Resources = typeof import('@opentelemetry/resources');

export function resourceOf(
  { resourceFromAttributes, detectResources, envDetector }: Resources,
  { role, version }: Service,
): ReturnType<Resources['resourceFromAttributes']> {
  const own = { 'service.name': `tensorguard-${role}`, 'service.version': version };
  return resourceFromAttributes(own).merge(detectResources({ detectors: [envDetector] }));
}
