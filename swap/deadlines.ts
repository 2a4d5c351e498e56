/**
 * When each step of a swap must have happened so that an honest party cannot lose. All times are seconds.
 *
 * The initiator locks on the source chain (S) until T1, the counterparty on the target chain (G) until T2 < T1; the
 * initiator reveals the secret by claiming on G, the counterparty claims on S with it. Working back from the timelocks,
 * with for each chain the time to finality F, the bound on inclusion I (congestion, and outages of the chain), the bound
 * on clock difference D, and the service's own reaction time R:
 *
 *     revealBy      = T2 − D_G − R − 2·I_G − F_G    the claim is mined, reorganised out, and mined again before T2
 *     counterLockBy = revealBy − R − I_G − F_G      the counter-lock is mined and final before the reveal
 *     sourceLockBy  = counterLockBy − R − I_S − F_S the source lock is mined and final before the counter-lock
 *     T1            ≥ T2 + D_G + F_G + D_S + R + 2·I_S + F_S
 *                                                   a reveal in the last second of T2, in a branch of the target chain
 *                                                   that is shown as late as one can be, still leaves time to claim on S
 */
export type ChainTiming = {
  /** F: seconds from inclusion until a block is final. */
  readonly finality: bigint;
  /** Seconds within which a priced transaction is included, congestion allowed for. I is this and `outage`. */
  readonly inclusion: bigint;
  /** Seconds that the chain may stand still besides; none where left out. */
  readonly outage?: bigint;
  /** D: seconds by which a block's timestamp may differ from true time. */
  readonly skew: bigint;
};

export type SwapTiming = {
  readonly source: ChainTiming;
  readonly target: ChainTiming;
  /** R: seconds the service takes to react, a restart included. */
  readonly reaction: bigint;
};

/** T1 (`source`) and T2 (`target`), Unix seconds. */
export type Timelocks = { readonly source: bigint; readonly target: bigint };

/** The last moments, in Unix seconds, at which each step may still be sent for the first time. */
export type Deadlines = {
  readonly sourceLockBy: bigint;
  readonly counterLockBy: bigint;
  readonly revealBy: bigint;
  /** Until then the source leg is claimed with a public secret: its timelock, on a chain whose time lags by its bound. */
  readonly sourceClaimUntil: bigint;
};

export function deadlinesOf(timing: SwapTiming, timelocks: Timelocks): Deadlines {
  const { source: s, target: g, reaction: r } = timing;
  const revealBy = timelocks.target - g.skew - r - 2n * boundOf(g) - g.finality;
  const counterLockBy = revealBy - r - boundOf(g) - g.finality;
  const sourceLockBy = counterLockBy - r - boundOf(s) - s.finality;
  return { sourceLockBy, counterLockBy, revealBy, sourceClaimUntil: timelocks.source + s.skew };
}

/** Least distance from the target leg's timelock to the source leg's. */
function leastGap(timing: SwapTiming): bigint {
  const { source: s, target: g, reaction: r } = timing;
  return g.skew + g.finality + s.skew + r + 2n * boundOf(s) + s.finality;
}

/** I of a chain. */
const boundOf = ({ inclusion, outage = 0n }: ChainTiming): bigint => inclusion + outage;

/** The tightest timelocks under which a swap that begins at `now` is safe. */
export function earliestTimelocks(timing: SwapTiming, now: bigint): Timelocks {
  const target = now - deadlinesOf(timing, { source: 0n, target: 0n }).sourceLockBy;
  return { target, source: target + leastGap(timing) };
}

/**
 * Timelocks for who names none: twice the tightest time for the target leg, so that a swap under ordinary load is
 * nowhere near its deadlines, and the counterparty's free option stays short. `handover`: seconds that external parties
 * are given on top.
 */
export function defaultTimelocks(timing: SwapTiming, now: bigint, handover = 0n): Timelocks {
  const target = now + 2n * (earliestTimelocks(timing, now).target - now) + handover;
  return { target, source: target + leastGap(timing) + timing.reaction };
}

/** Which rule the timelocks break, with the least value that would do; undefined when they are safe at `now`. */
export function unsafeTimelock(
  timing: SwapTiming,
  timelocks: Timelocks,
  now: bigint,
): { leg: "source" | "target"; given: bigint; least: bigint } | undefined {
  const least = earliestTimelocks(timing, now).target;
  if (timelocks.target < least) return { leg: "target", given: timelocks.target, least };
  const leastSource = timelocks.target + leastGap(timing);
  if (timelocks.source < leastSource) return { leg: "source", given: timelocks.source, least: leastSource };
  return undefined;
}
