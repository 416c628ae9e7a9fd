/** The custodians' keys as their agents report them, and what about them cannot wait. */
import type { CustodianView, CustodyList } from './reported.js';

export interface OpenBreakGlass {
  readonly custodian: string;
  readonly key: string;
  readonly round: string;
  readonly entry: number;
}

/** Keys that officers have unlocked, and nobody has closed. */
export function openBreakGlass({ custodians }: CustodyList): OpenBreakGlass[] {
  return custodians.flatMap(({ custodian, reported }) =>
    (reported?.status.openBreakGlass ?? []).map(({ key, round, entry }) => ({
      custodian,
      key,
      round,
      entry,
    })),
  );
}

export interface CustodySummary {
  readonly custodians: number;
  readonly threshold: number;
  readonly reporting: number;
  /** Whose audit trail was not found whole. */
  readonly broken: readonly string[];
  /** The rotation that is due first. */
  readonly nextRotation: { readonly custodian: string; readonly dueAtMs: number } | undefined;
}

export function custodySummary({ custodians, threshold }: CustodyList): CustodySummary {
  const reporting = custodians.filter(hasReported);
  const [next] = reporting
    .map(({ custodian, reported }) => ({ custodian, dueAtMs: reported.status.rotation.dueAtMs }))
    .sort((a, b) => a.dueAtMs - b.dueAtMs);
  return {
    ...{ custodians: custodians.length, threshold, reporting: reporting.length },
    broken: reporting
      .filter(({ reported }) => !reported.status.audit.whole)
      .map(({ custodian }) => custodian),
    nextRotation: next,
  };
}

type Reporting = CustodianView & { readonly reported: NonNullable<CustodianView['reported']> };

export function hasReported(custodian: CustodianView): custodian is Reporting {
  return custodian.reported !== undefined;
}
