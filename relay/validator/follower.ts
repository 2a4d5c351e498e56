import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { type Mark, noMark } from "#core/kernel/mark.ts";
import type { Log } from "#core/observe/log.ts";
import type { AgreedBlock, AgreedChain } from "./agreement.ts";
import { createContradictions } from "./contradictions.ts";
import { createDrafter, type FollowedLane, isSame, type Way } from "./drafting.ts";
import { emptyHead } from "./links.ts";
import type { Link, SigningStore } from "./signingStore.ts";

/** Milliseconds for which the cursor may move over blocks without messages before it is written down. */
const passMs = 5_000;

/** Keeps the lanes of one origin up to its newest agreed final block. */
export type Follower = {
  /**
   * Looks once; calls during a look share the next one. True when the newest final block was agreed on and the lanes
   * are at it. Throws `validator-halted` when a final block contradicts what was signed.
   */
  look(): Promise<boolean>;
};

export function createFollower(deps: {
  chain: AgreedChain;
  /** The origin as it is spelled in the store. */
  origin: string;
  gateway: Hex;
  lanes: readonly FollowedLane[];
  startBlock: bigint;
  logWindow: bigint;
  store: SigningStore;
  /** The generation in which signatures for a lane count at its destination. */
  generationOf(lane: FollowedLane): Promise<number>;
  clock: Clock;
  log: Log;
  mark?: Mark;
}): Follower {
  const { chain, origin, lanes, startBlock, store, clock, log, mark = noMark } = deps;
  const draft = createDrafter({ ...deps, endpoints: () => chain.endpoints });
  const contradictions = createContradictions(deps);
  let running: Promise<boolean> | undefined;
  let next: Promise<boolean> | undefined;
  /** The lanes may be others than those that an earlier process left at the cursor. */
  let looked = false;
  let recordedAt = Number.NEGATIVE_INFINITY;

  async function follow(): Promise<boolean> {
    const cursor = store.cursor(origin);
    const agreed = await chain.look(looked ? cursor?.hash : undefined);
    if (agreed) await contradictions.assertHeadersStand();
    if (agreed === "known") return true;
    // A lower height is an endpoint that lags; the vote comes again.
    if (!agreed || agreed.height < (store.reached(origin) ?? 0n)) return false;
    if (!cursor) return begin(agreed);
    const behind = lanes
      .map((lane) => wayOf(lane, agreed, store.head(lane)))
      .filter(({ from, to }) => !isSame(from, to));
    if (behind.length > 0 && !(await draft(behind, cursor.height + 1n, agreed.height))) {
      const found = await chain.hashAt(cursor.height);
      // A lane without a head may have begun before the cursor, when this validator did not follow it.
      const isNew = behind.some(({ from }) => from.nonce === emptyHead.nonce);
      if (found === cursor.hash && isNew) return begin(agreed);
      if (found === undefined || found === cursor.hash) throw missingLogs(agreed);
      log.warn({ origin, height: cursor.height }, "final history was rewritten, following from the start");
      store.forget(origin);
      return begin(agreed);
    }
    // Writing is a wait for the disk, and every block would be one on a chain that others keep busy.
    if (behind.length > 0 || clock.now() - recordedAt >= passMs) return record(agreed, false);
    store.pass(origin, agreed);
    return true;
  }

  /** The whole history, for which everything that was signed is to be right. */
  async function begin(agreed: AgreedBlock): Promise<boolean> {
    const ways = lanes.map((lane) => wayOf(lane, agreed, undefined));
    const isEmpty = ways.every(({ to }) => to.nonce === 0n);
    if (isEmpty) store.dropDrafts(origin);
    else if (!(await draft(ways, startBlock, agreed.height))) throw missingLogs(agreed);
    await contradictions.assertDraftsAgree(agreed.height);
    return record(agreed, true);
  }

  function record(agreed: AgreedBlock, replace: boolean): true {
    mark("drafted");
    store.record(origin, agreed, replace);
    mark("recorded");
    recordedAt = clock.now();
    looked = true;
    return true;
  }

  const missingLogs = ({ height }: AgreedBlock) =>
    new LockstepError("chain-answer-invalid", `no endpoint of ${origin} has the lanes' logs up to block ${height}`);

  function run(): Promise<boolean> {
    const mine = follow().finally(() => {
      if (running === mine) running = undefined;
    });
    running = mine;
    return mine;
  }

  return {
    look() {
      if (!running) return run();
      next ??= running
        .catch(() => undefined)
        .then(() => {
          next = undefined;
          return run();
        });
      return next;
    },
  };
}

const wayOf = (lane: FollowedLane, { heads }: AgreedBlock, from: Link | undefined): Way => ({
  ...{ lane, from: from ?? emptyHead, to: heads.get(lane.destinationChainId) ?? emptyHead },
});
