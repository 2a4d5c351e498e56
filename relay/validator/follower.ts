import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Log } from "#core/observe/log.ts";
import type { AgreedBlock, AgreedChain } from "./agreement.ts";
import { type AppendedId, appendedIds, gatewayLogs, linksBetween } from "./links.ts";
import type { FinalBlock, Link, SigningLane, SigningStore } from "./signingStore.ts";

/** A lane from the followed chain. */
export type FollowedLane = SigningLane & { readonly destinationChainId: number };

/** Keeps the lanes of one origin up to its newest agreed final block. */
export type Follower = {
  /**
   * Looks once; calls during a look share the next one. Throws `validator-halted` when a final block contradicts what
   * was signed.
   */
  look(): Promise<void>;
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
  log: Log;
}): Follower {
  const { chain, origin, gateway, lanes, startBlock, store, log } = deps;
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;

  async function follow(): Promise<void> {
    const cursor = store.cursor(origin);
    const agreed = await chain.look(cursor?.hash);
    // A lower height is an endpoint that lags; the vote comes again.
    if (!agreed || (cursor && agreed.height < cursor.height)) return;
    const changed = lanes.filter((lane) => !isAt(store.head(lane), headOf(agreed, lane)));
    if (changed.length === 0) {
      store.record(origin, agreed, new Map());
      return;
    }
    const fromBlock = cursor ? cursor.height + 1n : startBlock;
    const links = await linksFrom(agreed, changed, fromBlock, (lane) => store.head(lane));
    if (links) store.record(origin, agreed, links);
    else if (cursor && (await isGone(cursor))) await rewrite(agreed);
    else throw missingLogs(agreed);
  }

  const missingLogs = ({ height }: AgreedBlock) =>
    new LockstepError("chain-answer-invalid", `no endpoint of ${origin} has the lanes' logs up to block ${height}`);

  /** True when an endpoint has another block where the last recorded one was. */
  async function isGone({ height, hash }: FinalBlock): Promise<boolean> {
    const answers = await Promise.allSettled(chain.endpoints.map((endpoint) => endpoint.block(height)));
    return answers.some(({ status, ...rest }) => {
      const block = status === "fulfilled" && "value" in rest ? rest.value : undefined;
      return block !== undefined && block.hash !== hash;
    });
  }

  /** Links to the agreed heads from logs of whichever endpoint has them all; undefined when none has. */
  async function linksFrom(
    agreed: AgreedBlock,
    wanted: readonly FollowedLane[],
    fromBlock: bigint,
    startOf: (lane: FollowedLane) => Link | undefined,
  ): Promise<Map<SigningLane, Link[]> | undefined> {
    const range = { fromBlock, toBlock: agreed.height, window: deps.logWindow };
    for (const endpoint of chain.endpoints) {
      const logs = await gatewayLogs(endpoint, gateway, range).catch((error: unknown) => {
        log.debug({ err: error }, "endpoint gave no logs");
        return undefined;
      });
      const links = logs && linkAll(agreed, wanted, appendedIds(logs), startOf);
      if (links) return links;
    }
    return undefined;
  }

  /**
   * The final history is another than before. It is read from the start, proves itself by leading to the agreed heads,
   * and a signature that it contradicts ends this validator.
   */
  async function rewrite(agreed: AgreedBlock): Promise<void> {
    const links = await linksFrom(agreed, lanes, startBlock, () => undefined);
    if (!links) throw missingLogs(agreed);
    for (const [lane, chained] of links) assertNothingContradicts(lane, chained, agreed);
    log.warn({ origin, height: agreed.height }, "final history was rewritten, nothing signed contradicts it");
    store.record(origin, agreed, links, true);
  }

  function assertNothingContradicts(lane: SigningLane, chained: readonly Link[], agreed: AgreedBlock): void {
    const accumulators = new Map(chained.map(({ nonce, accumulator }) => [nonce, accumulator]));
    const wrong = store.signed(lane).find(({ nonce, accumulator }) => accumulators.get(nonce) !== accumulator);
    if (!wrong) return;
    const found = accumulators.get(wrong.nonce) ?? "no message";
    const reason = `signed ${wrong.accumulator} for ${lane.origin} to ${lane.destination} at ${wrong.nonce}, but final block ${agreed.height} has ${found}`;
    store.halt(reason);
    log.error(
      { origin, height: agreed.height, nonce: wrong.nonce },
      "signature contradicts a final block, stopping for good",
    );
    throw new LockstepError("validator-halted", reason);
  }

  function begin(): Promise<void> {
    const mine = follow().finally(() => {
      if (running === mine) running = undefined;
    });
    running = mine;
    return mine;
  }

  return {
    look() {
      if (!running) return begin();
      next ??= running
        .catch(() => undefined)
        .then(() => {
          next = undefined;
          return begin();
        });
      return next;
    },
  };
}

const emptyHead = { nonce: 0n, accumulator: undefined };

const headOf = (agreed: AgreedBlock, lane: FollowedLane) => agreed.heads.get(lane.destinationChainId) ?? emptyHead;

const isAt = (own: Link | undefined, head: { nonce: bigint; accumulator: Hex | undefined }): boolean =>
  head.nonce === 0n ? own === undefined : own?.nonce === head.nonce && own.accumulator === head.accumulator;

function linkAll(
  agreed: AgreedBlock,
  wanted: readonly FollowedLane[],
  ids: readonly AppendedId[],
  startOf: (lane: FollowedLane) => Link | undefined,
): Map<SigningLane, Link[]> | undefined {
  const all = new Map<SigningLane, Link[]>();
  for (const lane of wanted) {
    const head = agreed.heads.get(lane.destinationChainId);
    const own = ids.filter(({ destinationChainId }) => destinationChainId === lane.destinationChainId);
    const links = head && linksBetween(startOf(lane), head, own);
    if (!links) return undefined;
    all.set(lane, links);
  }
  return all;
}
