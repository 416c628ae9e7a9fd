/** The library: the four roles, the messages between them, and what they are made of. */

export { loadPeftAdapter, type PeftAdapter, writePeftAdapter } from './adapter/peft.js';
export { openSafetensors, type SafetensorsReader } from './adapter/safetensors-reader.js';
export { writeSafetensors } from './adapter/safetensors-writer.js';
export { readTrainingMetadata, type TrainingFacts } from './adapter/training-metadata.js';
export {
  type AgentLog,
  type AgentRunOptions,
  CustodianAgent,
  type CustodianAgentOptions,
  GatewayAgent,
  type GatewayAgentOptions,
  lineLog,
  OwnerAgent,
  type OwnerAgentOptions,
  Robot,
  type RobotOptions,
  type RunOptions,
  runCustodian,
  runGateway,
  runOwner,
  runRobot,
  Shutdown,
} from './agents/run-roles.js';
export { type ClientState, createClientState, openClientState } from './custody/client-state.js';
export { answerRound, type CustodianAnswer, type CustodianIdentity } from './custody/custodian.js';
export { type OpenedCustodian, openCustodian } from './custody/custodian-directory.js';
export {
  type KeyRecord,
  KeyStore,
  type NewKeyStore,
} from './custody/keys/key-store.js';
export { createLedger, type Ledger, openLedger } from './custody/ledger.js';
export {
  createReleaseState,
  openReleaseState,
  type ReleaseState,
} from './custody/release/release-state.js';
export { type OpenedRole, openRole } from './custody/role-directory.js';
export { readPlanToFinish, readPlanToServe } from './custody/role-plan.js';
export { readTrustedRoster, type TrustedRoster } from './custody/roster.js';
export { acceptRoster } from './custody/roster-archive.js';
export { openRosterPin, type RosterPin } from './custody/roster-pin.js';
export { readTrustedPlan, type TrustedPlan } from './custody/trusted-plan.js';
export * from './errors.js';
export { type EncryptRequest, encrypt } from './lwe/encrypt.js';
export { type OpenReport, type OpenRequest, openAggregate } from './lwe/open.js';
export {
  PARAMETER_SET_NAMES,
  type ParameterSet,
  type ParameterSetName,
  parameterSet,
} from './lwe/parameters.js';
export { type PlanArithmetic, PlanDoesNotFitError, type PlanRequest, planArithmetic } from './lwe/plan.js';
export { addCiphertexts } from './lwe/sum.js';
export { type NativeAddon, native } from './native.js';
export type { PublicKeys, SignatureAlgorithm } from './package/keys.js';
export { type AnyContainer, type Container, openAnyContainer, openContainer } from './package/reader.js';
export { createSigningKey, type LocalSigningKey, type SigningKey } from './package/signing-key.js';
export { containerBytes, encodeContainer, writeContainer } from './package/writer.js';
export { type EffectivePolicy, effectivePolicy } from './policy/effective.js';
export { policyFingerprints } from './policy/fingerprint.js';
export { readPolicyFile } from './policy/load.js';
export type { Policy } from './policy/policy.js';
export { POLICY_PRESET_NAMES, type PolicyPresetName, presetPolicy } from './policy/presets.js';
export { calibrateNoise, epsilonOfNoise } from './privacy/calibrate.js';
export { createPrivacyLedger, openPrivacyLedger, type PrivacyLedger } from './privacy/privacy-ledger.js';
export { type AggregateOptions, type Aggregation, aggregateUpdates } from './round/aggregate.js';
export { closeRound } from './round/close-round.js';
export { type FoundOptions, foundFleet } from './round/enrolment/found-fleet.js';
export { issueRoster } from './round/enrolment/issue-roster.js';
export { joinFleet } from './round/enrolment/join-fleet.js';
export { setUpMember } from './round/enrolment/set-up-member.js';
export { createFleet, type FleetOptions } from './round/fleet.js';
export { type GatewaySum, type GatewaySumOptions, sumAtGateway } from './round/gateway-sum.js';
export {
  type OpenedRoundReport,
  type OpenOptions,
  type OwnerIdentity,
  openRound,
} from './round/open-round.js';
export { type PlannedRound, type PlanOptions, planRound } from './round/plan-round.js';
export { createRelease } from './round/release/create-release.js';
export { openRelease } from './round/release/open-release.js';
export { openResiduals, settleResiduals } from './round/residuals.js';
export { readRolePolicy } from './round/role-policy.js';
export { budgetOf, type PrivacyAccount, roundEpsilon } from './round/round-privacy.js';
export { RoundRecords } from './round/round-records.js';
export {
  type ClientIdentity,
  dryRunSeal,
  type SealedUpdateFile,
  type SealOptions,
  sealUpdate,
} from './round/seal-update.js';
export type { SummedFile } from './round/sum-in-progress.js';
export { Service, type ServiceOptions } from './server/service.js';
export { openStore, type StoreOptions } from './store/open-store.js';
export type { Store } from './store/store.js';
