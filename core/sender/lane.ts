import type { FeeEstimate } from "../chain/chain.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Hex } from "../kernel/codec.ts";
import { LockstepError } from "../kernel/errors.ts";
import { type Loop, type StepAnswer, startLoop } from "../kernel/loop.ts";
import { createAdmission } from "./admission.ts";
import { createBalanceAlarm } from "./balance.ts";
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
/** Milliseconds between two looks whether the chain is still the one that it was, while there is work. */
const assertMs = 1_000;
/** Milliseconds between two looks at the balance of an account that has nothing to send. */
const balanceMs = 30_000;
/** Milliseconds that an intent rests which left its nonce to others. */
const gaveWayMs = 5_000;

export type LaneStatus = {
  readonly chain: string;
  readonly account: string;
  readonly state: "stopped" | "running" | "halted";
  /** Intents with a nonce that have not ended. */
  readonly open: number;
  /** For how long the same transaction is the lowest that is in no block; undefined when none waits. */
  readonly oldestWaitingMs: number | undefined;
  /** Wei that the account had when last asked; undefined before. */
  readonly balance: bigint | undefined;
  /** Wei of it that no waiting transaction may use up. */
  readonly free: bigint | undefined;
  /** Wei under which the balance counts as low; undefined where nothing was asked for or can be told. */
  readonly lowBelow: bigint | undefined;
  /** Wei a gas that the chain asked last. */
  readonly maxFeePerGas: bigint | undefined;
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
  const { chain, account, address, db, clock, log, sameChain, settings, waits } = context;
  const here = { chain: chain.name, account };
  const fees = cached(() => chain.fees(), clock);
  const freshFees = fees.get;
  const purse = createPurse(context);
  const admission = createAdmission(context, { purse, freshFees });
  const dispatch = createDispatch(context, { purse, onGaveWay: (id) => admission.defer(id, gaveWayMs) });
  const tracking = createTracking(context);
  const launch = createLaunch(context, { admission, dispatch });
  const onQueued = () => {
    asked = true;
  };
  const upkeep = createUpkeep(context, { dispatch, tracking, launch, freshFees, onQueued });
  const alarm = createBalanceAlarm({ settings, account, log });
  let loop: Loop | undefined;
  let memory: LaneMemory | undefined;
  let asked = true;
  let askedAt = 0;
  let halted = false;
  let relievedAt = 0;
  /** The block that the chain began with when the account first sent on it, and when that was last looked at. */
  let known: Hex | undefined;
  let assertedAt = 0;
  let lastError: LockstepError | undefined;
  let lowest: { readonly nonce: number; readonly since: number } | undefined;
  /** Kept over failures as well. */
  let funds: { readonly balance: bigint; readonly free: bigint; readonly at: number } | undefined;

  /** Kept over failures, so that those count as waiting too. */
  function noteLowest(current: LaneMemory): void {
    const nonce = inNonceOrder(current).find(({ included }) => included === undefined)?.nonce;
    if (nonce !== lowest?.nonce) lowest = nonce === undefined ? undefined : { nonce, since: clock.now() };
  }

  function noteFunds(current: LaneMemory, at: number): void {
    funds = { balance: current.balance, free: current.balance - purse.reserved(current), at };
    alarm.look(current, fees.last());
  }

  /** Others of its pool may do what waits for an account that gets nothing into a block. */
  async function relieveWhenStuck(): Promise<void> {
    if (lowest === undefined || clock.now() - lowest.since < settings.stuckMs) return;
    if (clock.now() - relievedAt < settings.stuckMs) return;
    relievedAt = clock.now();
    await context.relieve();
  }

  async function assertSame(): Promise<void> {
    if (known !== undefined) await sameChain.assert(chain, known);
    assertedAt = clock.now();
  }

  async function load(): Promise<LaneMemory> {
    const flights = await loadFlights(db, here);
    await waits.reload(db);
    const [genesis, head, { nonce, balance }] = await Promise.all([
      chain.genesis(),
      chain.block("latest"),
      chain.account(address),
    ]);
    known = await knownGenesis(db, chain.name, genesis);
    await assertSame();
    if (head === undefined) throw new LockstepError("chain-answer-invalid", `${chain.name} has no latest block`);
    const taken = await loadTaken(db, here, nonce);
    return {
      flights: new Map(flights.map((each) => [each.nonce, each])),
      taken,
      chainNonce: nonce,
      balance,
      head,
      finalHeight: undefined,
    };
  }

  async function step(signal: AbortSignal): Promise<StepAnswer> {
    const wanted = asked || admission.waiting() || clock.now() - askedAt >= restMs;
    if ((!wanted && memory?.flights.size === 0) || (await context.isHeld())) return "idle";
    memory ??= await load();
    if (sameChain.isDoubted(chain.name) || clock.now() - assertedAt >= assertMs) await assertSame();
    if (wanted) {
      asked = false;
      askedAt = clock.now();
      if (await launch.next(memory)) asked = true;
    }
    await upkeep.round(memory, signal);
    if (wanted && funds !== undefined && clock.now() - funds.at >= balanceMs) {
      memory.balance = (await chain.account(address)).balance;
      await freshFees();
      noteFunds(memory, clock.now());
    } else noteFunds(memory, funds === undefined || memory.flights.size > 0 ? clock.now() : funds.at);
    noteLowest(memory);
    await relieveWhenStuck();
    await waits.flush(db);
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
          if (fatal) void context.relieve().catch((cause) => log.error({ err: cause }, "nothing could be handed over"));
          else log.warn({ err: error, failures, retry_in_ms: retryInMs }, "sender step failed");
        },
      });
      // A new block moves what is under way; nobody has asked for anything.
      void loop.ended.then(chain.watchHeads(loop.wake));
    },
    async stop() {
      await loop?.stop();
      loop = undefined;
      // Another process may know better by now.
      halted = false;
      memory = undefined;
      lowest = undefined;
      funds = undefined;
      lastError = undefined;
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
      balance: funds?.balance,
      free: funds?.free,
      lowBelow: alarm.below(),
      maxFeePerGas: fees.last()?.maxFeePerGas,
      error: lastError,
    }),
  };
}

/** Asks again only when the last answer is a little old. */
function cached(ask: () => Promise<FeeEstimate>, clock: Clock) {
  let last: { fees: FeeEstimate; at: number } | undefined;
  return {
    async get(): Promise<FeeEstimate> {
      if (last === undefined || clock.now() - last.at > feesMs) last = { fees: await ask(), at: clock.now() };
      return last.fees;
    },
    last: () => last?.fees,
  };
}
