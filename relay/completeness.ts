import type { Db, Queryable } from "#core/db/db.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Log } from "#core/observe/log.ts";
import { type ChainHead, createGatewayReader } from "./gateway.ts";
import { type LaneEnds, type Lanes, laneName } from "./lane.ts";
import { emptyAccumulator } from "./protocol/message.ts";

/** See `ChainObserver.check`. */
export type CompletenessCheck = (chain: string, final: bigint) => Promise<boolean>;

/**
 * Compares what is recorded of a chain's lanes with the heads that its gateway has at a final block. Nonces and
 * accumulators of the outgoing lanes say which messages there are, the head of an incoming lane how many were attempted;
 * so neither a newest message nor an outcome that a node hides stays unnoticed. Throws `logs-missing` naming the lane.
 */
export function createCompletenessCheck(deps: { db: Db; lanes: Lanes; log: Log }): CompletenessCheck {
  const { db, lanes } = deps;
  const diverged = new Set<string>();

  async function checkSent(lane: LaneEnds, final: bigint): Promise<void> {
    const head = await createGatewayReader(lane.from).outboundHead(lane.to.chain.chainId, final);
    const newest = await newestUpTo(db, lane, final);
    const { nonce = 0n, accumulator = emptyAccumulator } = newest ?? {};
    if (nonce === head.nonce && accumulator === head.accumulator) return;
    const recorded = `${nonce} (${accumulator})`;
    const words = `its gateway has sent ${head.nonce} (${head.accumulator}), recorded is ${recorded}`;
    throw missing(lane, lane.origin, final, words, newest?.block);
  }

  /** False while the origin has not been read as far as the destination has attempted. */
  async function checkAttempted(lane: LaneEnds, final: bigint): Promise<boolean> {
    const head = await createGatewayReader(lane.to).inboundHead(lane.from.chain.chainId, final);
    if (head.nonce === 0n) return true;
    const recorded = await accumulatorAt(db, lane, head.nonce);
    if (recorded === undefined) return false;
    if (isDiverged(lane, head, recorded)) return true;
    const first = await firstWithoutOutcome(db, lane, head.nonce);
    if (first === undefined) return true;
    const words = `its gateway has attempted ${head.nonce}, no outcome is recorded of ${first}`;
    throw missing(lane, lane.destination, final, words, await lastAttemptBefore(db, lane, first));
  }

  /** A destination on another branch of the origin than the one there is: governance has to realign the lane. */
  function isDiverged(lane: LaneEnds, { nonce, accumulator }: ChainHead, recorded: Hex): boolean {
    const name = laneName(lane);
    if (accumulator === recorded) {
      diverged.delete(name);
      return false;
    }
    if (!diverged.has(name)) {
      deps.log.error(
        { lane: name, nonce, accumulator, recorded },
        "lane diverged: its destination is on another branch",
      );
    }
    diverged.add(name);
    return true;
  }

  return async (chain, final) => {
    for (const lane of lanes.all) if (lane.origin === chain) await checkSent(lane, final);
    let complete = true;
    for (const lane of lanes.all) {
      if (lane.destination === chain) complete = (await checkAttempted(lane, final)) && complete;
    }
    return complete;
  };
}

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
