import type { Fees } from "../chain/chain.ts";
import type { Clock } from "../kernel/clock.ts";
import { LockstepError } from "../kernel/errors.ts";
import { type Loop, type StepAnswer, startLoop } from "../kernel/loop.ts";
import { createAdmission } from "./admission.ts";
import { inNonceOrder, type LaneContext, type LaneMemory } from "./context.ts";
import { createDispatch } from "./dispatch.ts";
import { createLaunch } from "./launch.ts";
import { createPurse } from "./purse.ts";
import { knownGenesis, loadFlights, loadTaken } from "./rows.ts";
import { createTracking } from "./tracking.ts";
import { createUpkeep } from "./upkeep.ts";

/** Milliseconds between two looks for work when nobody asked and nothing is under way. */
const restMs = 1_000;
/** Milliseconds that a fee estimate is good for; it has room for six full blocks. */
const feesMs = 1_000;
const backoffMs = 5_000;
/** Milliseconds that an intent rests which lost its nonce because the account could not pay it. */
const unpayableMs = 5_000;

export type LaneStatus = {
  readonly chain: string;
  readonly account: string;
  readonly state: "stopped" | "running" | "halted";
  /** Intents with a nonce that have not ended. */
  readonly open: number;
  /** For how long the same transaction is the lowest that is in no block; undefined when none waits. */
  readonly oldestWaitingMs: number | undefined;
  readonly error: LockstepError | undefined;
};

/** One account on one chain: its nonces, in order, from the rows to final receipts. */
export type Lane = {
  start(): void;
  stop(): Promise<void>;
  wake(): void;
  status(): LaneStatus;
};

export function createLane(context: LaneContext): Lane {
  const { chain, account, address, db, clock, log, settings } = context;
  const here = { chain: chain.name, account };
  const freshFees = cached(() => chain.fees(), clock);
  const purse = createPurse(context);
  const admission = createAdmission(context, { purse, freshFees });
  const dispatch = createDispatch(context, { purse, onUnpayable: (id) => admission.defer(id, unpayableMs) });
  const tracking = createTracking(context);
  const launch = createLaunch(context, { admission, dispatch });
  const onQueued = () => {
    asked = true;
  };
  const upkeep = createUpkeep(context, { dispatch, tracking, freshFees, onQueued });
  let loop: Loop | undefined;
  let memory: LaneMemory | undefined;
  let asked = true;
  let askedAt = 0;
  let halted = false;
  let lastError: LockstepError | undefined;
  let lowest: { readonly nonce: number; readonly since: number } | undefined;

  /** Kept over failures, so that those count as waiting too. */
  function noteLowest(current: LaneMemory): void {
    const nonce = inNonceOrder(current).find(({ included }) => included === undefined)?.nonce;
    if (nonce !== lowest?.nonce) lowest = nonce === undefined ? undefined : { nonce, since: clock.now() };
  }

  async function load(): Promise<LaneMemory> {
    const flights = await loadFlights(db, here);
    const [genesis, head, { nonce }] = await Promise.all([
      chain.genesis(),
      chain.block("latest"),
      chain.account(address),
    ]);
    const known = await knownGenesis(db, chain.name, genesis);
    if (known !== genesis) {
      throw new LockstepError(
        "chain-replaced",
        `${chain.name} begins with block ${genesis}, transactions were signed for one that begins with ${known}`,
        { details: { chain: chain.name, known, found: genesis } },
      );
    }
    if (head === undefined) throw new LockstepError("chain-answer-invalid", `${chain.name} has no latest block`);
    const taken = await loadTaken(db, here, nonce);
    return {
      flights: new Map(flights.map((each) => [each.nonce, each])),
      taken,
      chainNonce: nonce,
      head,
      finalHeight: undefined,
    };
  }

  async function step(signal: AbortSignal): Promise<StepAnswer> {
    const wanted = asked || admission.waiting() || clock.now() - askedAt >= restMs;
    if (!wanted && memory?.flights.size === 0) return "idle";
    memory ??= await load();
    if (wanted) {
      asked = false;
      askedAt = clock.now();
      if (await launch.next(memory)) asked = true;
    }
    await upkeep.round(memory, signal);
    noteLowest(memory);
    lastError = undefined;
    return asked ? "continue" : "idle";
  }

  return {
    start() {
      if (loop !== undefined) return;
      halted = false;
      memory = undefined;
      asked = true;
      loop = startLoop({
        step,
        clock,
        idleMs: settings.pollMs,
        backoff: { firstMs: settings.pollMs, maxMs: backoffMs },
        onError(error, { failures, fatal, retryInMs }) {
          lastError =
            error instanceof LockstepError ? error : new LockstepError("internal", "a step failed", { cause: error });
          memory = undefined;
          asked = true;
          halted = fatal;
          if (fatal) log.error({ err: error }, "sender halted");
          else log.warn({ err: error, failures, retry_in_ms: retryInMs }, "sender step failed");
        },
      });
    },
    async stop() {
      await loop?.stop();
      loop = undefined;
    },
    wake() {
      asked = true;
      loop?.wake();
    },
    status: () => ({
      ...here,
      state: halted ? "halted" : loop === undefined ? "stopped" : "running",
      open: memory?.flights.size ?? 0,
      oldestWaitingMs: lowest && clock.now() - lowest.since,
      error: lastError,
    }),
  };
}

/** Asks again only when the last answer is a little old. */
function cached(ask: () => Promise<Fees>, clock: Clock): () => Promise<Fees> {
  let last: { fees: Fees; at: number } | undefined;
  return async () => {
    if (last === undefined || clock.now() - last.at > feesMs) last = { fees: await ask(), at: clock.now() };
    return last.fees;
  };
}
