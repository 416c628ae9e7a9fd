/** Agents as library calls: each runs until its `Shutdown` is told to stop. */
import { CustodianAgent, type CustodianAgentOptions } from './custodian/custodian-agent.js';
import { GatewayAgent, type GatewayAgentOptions } from './gateway/gateway-agent.js';
import { OwnerAgent, type OwnerAgentOptions } from './owner/owner-agent.js';
import { Robot, type RobotOptions } from './robot/robot.js';
import { type AgentRunOptions, runAgent } from './run-agent.js';

export { type AgentLog, type LogFormat, lineLog } from './agent-log.js';
export { CustodianAgent, type CustodianAgentOptions } from './custodian/custodian-agent.js';
export { GatewayAgent, type GatewayAgentOptions } from './gateway/gateway-agent.js';
export { OwnerAgent, type OwnerAgentOptions } from './owner/owner-agent.js';
export { Robot, type RobotOptions } from './robot/robot.js';
export type { AgentRunOptions } from './run-agent.js';
export { Shutdown, stoppingOnSignals } from './shutdown.js';

export type RunOptions = Omit<AgentRunOptions, 'role' | 'roleDirectory'>;

export function runRobot(run: RunOptions, robot: RobotOptions): Promise<void> {
  return runAgent({ ...run, role: 'client', roleDirectory: robot.clientDirectory }, (context) =>
    Robot.open(robot, context),
  );
}

export function runGateway(run: RunOptions, gateway: GatewayAgentOptions): Promise<void> {
  const roleDirectory = gateway.gatewayDirectory;
  return runAgent({ ...run, role: 'gateway', roleDirectory }, (context) =>
    GatewayAgent.open(gateway, context),
  );
}

export function runCustodian(
  run: RunOptions,
  custodian: Omit<CustodianAgentOptions, 'custodian'>,
): Promise<void> {
  const roleDirectory = custodian.custodianDirectory;
  return runAgent({ ...run, role: 'custodian', roleDirectory }, async (context) => {
    return new CustodianAgent({ ...custodian, custodian: context.id }, context);
  });
}

export function runOwner(run: RunOptions, owner: OwnerAgentOptions): Promise<void> {
  return runAgent({ ...run, role: 'owner', roleDirectory: owner.ownerDirectory }, (context) =>
    OwnerAgent.open(owner, context),
  );
}
