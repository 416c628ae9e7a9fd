/** The agents of a trial, in this process: the same as `owner run`, `custodian run` and `robot run`. */
import { runCustodian, runOwner, runRobot, type Shutdown } from '../agents/run-roles.js';
import { averagesOf, roleDirectory, TRIAL_POLICY, type TrialFleet } from './trial-fleet.js';
import { TrialLog } from './trial-log.js';

const QUICK = { pollMs: 250, wakeSpreadMs: 1 } as const;
/** The trial is to run wherever it is tried: settings of other fleets do not reach it. */
const NO_ENVIRONMENT = { environment: {} };

export interface TrialAgents {
  /** One that ends by itself has failed. */
  readonly running: readonly Promise<void>[];
  readonly logs: readonly TrialLog[];
  /** Those of the robots among them. */
  readonly robotLogs: readonly TrialLog[];
}

/** @param onTrouble takes what they complain about */
export function startAgents(
  fleet: TrialFleet,
  server: string,
  shutdown: Shutdown,
  onTrouble: (line: string) => void,
): TrialAgents {
  const logs: TrialLog[] = [];
  const run = (name: string) => {
    const log = new TrialLog(name, onTrouble);
    logs.push(log);
    return { server, log, shutdown, ...QUICK };
  };
  const owner = runOwner(run('owner'), {
    ownerDirectory: roleDirectory(fleet, 'owner'),
    coordinatorDirectory: roleDirectory(fleet, 'coordinator'),
    policyName: TRIAL_POLICY,
    outDirectory: averagesOf(fleet),
    like: fleet.earlier,
    base: fleet.base,
    verify: true,
    release: 'auto',
    rolePolicy: NO_ENVIRONMENT,
  });
  const custodians = fleet.custodians.map((custodianDirectory, i) =>
    runCustodian(run(`custodian-${i + 1}`), {
      custodianDirectory,
      rotate: false,
      rolePolicy: NO_ENVIRONMENT,
    }),
  );
  const first = logs.length;
  const robots = fleet.robots.map(({ id, clientDirectory, adapterDirectory, releaseDirectory }) =>
    runRobot(run(id), {
      ...{ clientDirectory, adapterDirectory, releaseDirectory },
      baseDirectory: fleet.base,
      quietMs: 0,
      client: NO_ENVIRONMENT,
    }),
  );
  return { running: [owner, ...custodians, ...robots], robotLogs: logs.slice(first), logs };
}
