/** Where the roles of a fleet have their keys and state, as `createFleet` lays them out. */
import { join } from 'node:path';

export class FleetDirectories {
  constructor(
    private readonly root: string,
    private readonly robots: number,
  ) {}

  get owner(): string {
    return join(this.root, 'owner');
  }

  get coordinator(): string {
    return join(this.root, 'coordinator');
  }

  get aggregator(): string {
    return join(this.root, 'aggregator');
  }

  /** @param index counted from 1 */
  custodian(index: number): string {
    return join(this.root, 'custodians', `custodian-${index}`);
  }

  /** @param robot counted from 0 */
  client(robot: number): string {
    const width = Math.max(2, String(this.robots).length);
    return join(this.root, 'clients', `client-${String(robot + 1).padStart(width, '0')}`);
  }
}
