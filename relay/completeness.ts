import type { Db, Queryable } from "#core/db/db.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import type { Log } from "#core/observe/log.ts";
import type { Findings } from "./findings.ts";
import { type ChainHead, createGatewayReader } from "./gateway.ts";
import { type LaneEnds, type Lanes, laneName } from "./lane.ts";
import { emptyAccumulator } from "./protocol/message.ts";

/** See `ChainObserver.check`. */
export type CompletenessCheck = (chain: string, final: bigint, start: bigint) => Promise<boolean>;

type Deps = { db: Db; lanes: Lanes; findings: Findings; log: Log };

/**
 * Compares what is recorded of a chain's lanes with the heads that its gateway has at a final block. Nonces and
 * accumulators of the outgoing lanes say which messages there are, the head of an incoming lane how many were attempted;
 * so neither a newest message nor an outcome that a node hides stays unnoticed. Throws `logs-missing` naming the lane, or
 * `start-block-too-high` once all others are compared.
 */
export function createCompletenessCheck({ db, lanes, findings, log }: Deps): CompletenessCheck {
  async function checkSent(lane: LaneEnds, final: bigint, start: bigint): Promise<true> {
    const headAt = (at: bigint) => createGatewayReader(lane.from).outboundHead(lane.to.chain.chainId, at);
    const head = await headAt(final);
    const newest = await newestUpTo(db, lane, final);
    const { nonce = 0n, accumulator = emptyAccumulator } = newest ?? {};
    if (nonce !== head.nonce || accumulator !== head.accumulator) {
      if (!newest) await assertNoneBefore(lane, lane.origin, start, 1n, headAt);
      const recorded = `${nonce} (${accumulator})`;
      const words = `its gateway has sent ${head.nonce} (${head.accumulator}), recorded is ${recorded}`;
      throw missing(lane, lane.origin, final, words, newest?.block);
    }
    await findings.set(lane, lane.origin, "start-block-too-high", undefined);
    return true;
  }

  /** False while the origin has not been read as far as the destination has attempted. */
  async function checkAttempted(lane: LaneEnds, final: bigint, start: bigint): Promise<boolean> {
    const headAt = (at: bigint) => createGatewayReader(lane.to).inboundHead(lane.from.chain.chainId, at);
    const head = await headAt(final);
    if (head.nonce === 0n) return true;
    const recorded = await accumulatorAt(db, lane, head.nonce);
    if (recorded === undefined) return false;
    if (await isDiverged(lane, head, recorded)) return true;
    const first = await firstWithoutOutcome(db, lane, head.nonce);
    if (first !== undefined) {
      const before = await lastAttemptBefore(db, lane, first);
      if (before === undefined) await assertNoneBefore(lane, lane.destination, start, first, headAt);
      const words = `its gateway has attempted ${head.nonce}, no outcome is recorded of ${first}`;
      throw missing(lane, lane.destination, final, words, before);
    }
    await findings.set(lane, lane.destination, "start-block-too-high", undefined);
    return true;
  }

  /** Throws when a message was there right before the block where reading began; where no node knows that, it is open. */
  async function assertNoneBefore(
    lane: LaneEnds,
    chain: string,
    start: bigint,
    nonce: bigint,
    headAt: (at: bigint) => Promise<ChainHead>,
  ): Promise<void> {
    const head = start > 0n ? await headAt(start - 1n).catch(() => undefined) : undefined;
    if (!head || head.nonce < nonce) return;
    const words = `its messages up to ${head.nonce} are from before block ${start} of ${chain}, where reading begins`;
    const detail = `${words}; lower \`startBlock\` of ${chain} to before the first of them and start the service again`;
    await findings.set(lane, chain, "start-block-too-high", detail);
    throw new LockstepError("start-block-too-high", `${laneName(lane)}: ${detail}`, {
      details: { lane: laneName(lane), chain, start, nonce: head.nonce },
    });
  }

  /** A destination on another branch of the origin than the one there is: governance has to realign the lane. */
  async function isDiverged(lane: LaneEnds, { nonce, accumulator }: ChainHead, recorded: Hex): Promise<boolean> {
    const isSame = accumulator === recorded;
    const words = `up to ${nonce}, ${lane.destination} has attempted other messages than ${lane.origin} has sent`;
    const detail = isSame ? undefined : `${words}; nothing is delivered until governance realigns the lane`;
    const isNews = await findings.set(lane, lane.destination, "lane-diverged", detail);
    if (isNews && !isSame) log.error({ lane: laneName(lane), nonce, accumulator, recorded }, "lane diverged");
    return !isSame;
  }

  return async (chain, final, start) => {
    let complete = true;
    let late: unknown;
    const outgoing = lanes.all
      .filter(({ origin }) => origin === chain)
      .map((lane) => () => checkSent(lane, final, start));
    const incoming = lanes.all
      .filter(({ destination }) => destination === chain)
      .map((lane) => () => checkAttempted(lane, final, start));
    for (const check of [...outgoing, ...incoming]) {
      try {
        complete = (await check()) && complete;
      } catch (error) {
        if (!isLockstepError(error, "start-block-too-high")) throw error;
        late ??= error;
      }
    }
    if (late !== undefined) throw late;
    return complete;
  };
}

/** One check after the other; complete when all are. */
export const allOf =
  (checks: readonly CompletenessCheck[]): CompletenessCheck =>
  async (chain, final, start) => {
    let complete = true;
    for (const check of checks) complete = (await check(chain, final, start)) && complete;
    return complete;
  };

function missing(lane: LaneEnds, chain: string, final: bigint, words: string, after: bigint | undefined) {
  const name = laneName(lane);
  return new LockstepError("logs-missing", `${name}, on ${chain} at block ${final}: ${words}`, {
    details: { lane: name, chain, block: final, after },
  });
}

type Newest = { nonce: bigint; accumulator: Hex; block: bigint };

/** The newest message that a lane had by a block of its origin. */
async function newestUpTo(from: Queryable, lane: LaneEnds, block: bigint): Promise<Newest | undefined> {
  const [row] = await from.query<Newest>(
    `SELECT nonce, accumulator, sent_block AS block FROM relay_messages
      WHERE origin = $1 AND destination = $2 AND nonce IS NOT NULL AND sent_block <= $3 ORDER BY nonce DESC LIMIT 1`,
    [lane.origin, lane.destination, block],
  );
  return row;
}

async function accumulatorAt(from: Queryable, lane: LaneEnds, nonce: bigint): Promise<Hex | undefined> {
  const [row] = await from.query<{ accumulator: Hex }>(
    "SELECT accumulator FROM relay_messages WHERE origin = $1 AND destination = $2 AND nonce = $3",
    [lane.origin, lane.destination, nonce],
  );
  return row?.accumulator;
}

async function firstWithoutOutcome(from: Queryable, lane: LaneEnds, upTo: bigint): Promise<bigint | undefined> {
  const [row] = await from.query<{ nonce: bigint }>(
    `SELECT nonce FROM relay_messages
      WHERE origin = $1 AND destination = $2 AND nonce <= $3
        AND nonce IS NOT NULL AND executed_block IS NULL AND failed_block IS NULL ORDER BY nonce LIMIT 1`,
    [lane.origin, lane.destination, upTo],
  );
  return row?.nonce;
}

/** The destination's block of the first attempt before; attempts come in the order of nonces. */
async function lastAttemptBefore(from: Queryable, lane: LaneEnds, nonce: bigint): Promise<bigint | undefined> {
  const [row] = await from.query<{ block: bigint }>(
    `SELECT coalesce(failed_block, executed_block) AS block FROM relay_messages
      WHERE origin = $1 AND destination = $2 AND nonce < $3
        AND (failed_block IS NOT NULL OR executed_block IS NOT NULL) ORDER BY nonce DESC LIMIT 1`,
    [lane.origin, lane.destination, nonce],
  );
  return row?.block;
}
