/** Processor time of this process so far, of its threads and of the system for it: seconds. */
export function processorSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
