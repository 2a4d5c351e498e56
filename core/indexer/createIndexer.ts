import type { Block, Chain } from "../chain/chain.ts";
import type { ChainConfig } from "../config/chains.ts";
import type { Db } from "../db/db.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Hex } from "../kernel/codec.ts";
import { LockstepError } from "../kernel/errors.ts";
import { type Loop, type StepAnswer, startLoop } from "../kernel/loop.ts";
import { type Mark, noMark } from "../kernel/mark.ts";
import type { Log } from "../observe/log.ts";
import { allAddresses, announce, type News } from "./announce.ts";
import { createGaps } from "./gaps.ts";
import { genesisState, lookAtChain } from "./look.ts";
import type { ChainObserver } from "./observer.ts";
import type { KnownBlock } from "./reconcile.ts";
import { reread } from "./reread.ts";
import { assertGenesis } from "./sameChain.ts";
import { settle } from "./settle.ts";
import { createSpanReader } from "./spans.ts";
import { createState, type IndexState, loadState, moveState, tipOf } from "./tables.ts";

const longestBackoffMs = 5_000;

export type IndexerDeps = {
  readonly chain: Chain;
  readonly config: Pick<ChainConfig, "pollMs" | "startBlock" | "logWindow">;
  readonly db: Db;
  readonly observers: readonly ChainObserver[];
  readonly log: Log;
  readonly clock: Clock;
  /** Called with `indexed/{chain}` after every commit. */
  readonly mark?: Mark;
  /** Called once when it halts for good. */
  readonly onHalt?: (error: unknown) => void;
};

export type IndexerStatus = {
  readonly chain: string;
  readonly state: "stopped" | "running" | "halted";
  /** Last block indexed, last final one, and the chain's head when last seen. */
  readonly indexed: bigint | undefined;
  readonly final: bigint | undefined;
  readonly head: bigint | undefined;
  /** Milliseconds since 1970 of the last step that found the chain and the database well. */
  readonly healthyAt: number | undefined;
  /** Why it halted, or what the last step failed with. */
  readonly error: LockstepError | undefined;
};

/**
 * Follows one chain from its checkpoint and tells the observers. Halts for good (`status().state`) with
 * `chain-replaced`, `reorg-too-deep`, `chain-id-mismatch`, or `lane-broken` when logs that an observer misses do not turn
 * up; everything else is tried again.
 */
export type Indexer = {
  start(): void;
  stop(): Promise<void>;
  status(): IndexerStatus;
  /** Looks at the chain soon instead of at the next poll. */
  wake(): void;
};

export function createIndexer(deps: IndexerDeps): Indexer {
  const { chain, config, db, observers, clock, mark = noMark } = deps;
  const log = deps.log.child({ module: "indexer", chain: chain.name });
  const reader = createSpanReader({ chain, logWindow: config.logWindow, pauseMs: config.pollMs, clock, log });
  const gaps = createGaps();
  const startBlock = BigInt(config.startBlock);
  const shared = { chain, reader, observers, log };
  let loop: Loop | undefined;
  let halted = false;
  let state: IndexState | undefined;
  let head: bigint | undefined;
  let healthyAt: number | undefined;
  let lastError: LockstepError | undefined;

  async function step(): Promise<StepAnswer> {
    const current = state ?? (await open());
    if (current === undefined) return "idle";
    const answer = await gaps.around(
      () => follow(state ?? current),
      (from = startBlock) => reread({ ...shared, logWindow: config.logWindow, from, state: state ?? current, commit }),
    );
    healthyAt = clock.now();
    lastError = undefined;
    return answer;
  }

  /** The stored state, checked to be of this chain, or a first one. Undefined while the chain has no start block. */
  async function open(): Promise<IndexState | undefined> {
    const stored = await loadState(db, chain.name);
    if (stored !== undefined) {
      await assertGenesis(chain, stored.genesis);
      state = stored;
      return stored;
    }
    const first = await genesisState(chain, startBlock);
    if (first === undefined) return undefined;
    await db.tx((tx) => createState(tx, chain.name, first));
    state = first;
    return first;
  }

  async function follow(current: IndexState): Promise<StepAnswer> {
    const look = await lookAtChain(chain, current);
    head = look.head.number;
    const { outcome } = look;
    switch (outcome.kind) {
      case "torn":
        return "idle";
      case "unchanged":
        if (look.head.number < tipOf(current).number) await assertGenesis(chain, current.genesis);
        return settleFinal(current, look.final);
      case "reorged":
        await assertGenesis(chain, current.genesis);
        log.warn({ ancestor: outcome.ancestor.number, tip: tipOf(current).number }, "chain reorganised");
        await commit(current, dropAbove(current, outcome.ancestor), { ancestor: outcome.ancestor.number, indexed: [] });
        return "continue";
      case "too-deep":
        await assertGenesis(chain, current.genesis);
        throw tooDeep(chain.name, outcome);
      case "extended":
        return extend(current, look.head, look.final, look.blocks);
    }
  }

  async function extend(
    current: IndexState,
    to: Block,
    final: KnownBlock,
    blocks: ReadonlyMap<bigint, Block>,
  ): Promise<StepAnswer> {
    const tip = tipOf(current);
    const addresses = allAddresses(chain.name, observers);
    const span = await reader.next({ tip, head: to, final: final.number, addresses, blocks });
    if (span === undefined) return "idle";
    const known = [...current.known, ...span.recorded];
    const finished = await settle({ ...shared, next: { ...current, known }, final, seen: tip.number });
    if (finished === undefined) return "idle";
    const indexed = [...finished.news.indexed, ...span.indexed];
    await commit(current, finished.state, { ...finished.news, indexed });
    return tipOf(finished.state).number < to.number ? "continue" : "idle";
  }

  /** Moves only the final height, where it rose. */
  async function settleFinal(current: IndexState, final: KnownBlock): Promise<StepAnswer> {
    if (final.number <= current.final) return "idle";
    const finished = await settle({ ...shared, next: current, final, seen: tipOf(current).number });
    if (finished !== undefined && finished.state.final > current.final) {
      await commit(current, finished.state, finished.news);
    }
    return "idle";
  }

  async function commit(from: IndexState, to: IndexState, news: News): Promise<IndexState> {
    const next = { ...to, revision: from.revision + 1n };
    try {
      await db.tx(async (tx) => {
        await moveState(tx, chain.name, from, next);
        await announce(tx, chain.name, observers, news);
      });
    } catch (error) {
      // Whether it was committed is not always known: the next step reads the state anew.
      state = undefined;
      throw error;
    }
    state = next;
    if (tipOf(next).hash !== tipOf(from).hash) gaps.closed();
    mark(`indexed/${chain.name}`);
    return next;
  }

  return {
    start() {
      if (loop !== undefined) return;
      halted = false;
      state = undefined;
      gaps.closed();
      loop = startLoop({
        step,
        clock,
        idleMs: config.pollMs,
        backoff: { firstMs: config.pollMs, maxMs: longestBackoffMs },
        onError(error, { failures, fatal, retryInMs }) {
          lastError =
            error instanceof LockstepError ? error : new LockstepError("internal", "a step failed", { cause: error });
          halted = fatal;
          if (fatal) {
            log.error({ err: error }, "indexer halted");
            deps.onHalt?.(error);
          } else log.warn({ err: error, failures, retry_in_ms: retryInMs }, "indexer step failed");
        },
      });
    },
    async stop() {
      await loop?.stop();
      loop = undefined;
    },
    status: () => ({
      chain: chain.name,
      state: halted ? "halted" : loop === undefined ? "stopped" : "running",
      indexed: state === undefined ? undefined : tipOf(state).number,
      final: state?.final,
      head,
      healthyAt,
      error: lastError,
    }),
    wake: () => loop?.wake(),
  };
}

function tooDeep(chain: string, { number, known, found }: { number: bigint; known: Hex; found: Hex }): LockstepError {
  const words = `${chain} dropped its final block ${number}: recorded ${known}, now ${found}`;
  return new LockstepError("reorg-too-deep", words, { details: { chain, number, known, found } });
}

const dropAbove = (state: IndexState, ancestor: KnownBlock): IndexState => ({
  ...state,
  known: state.known.filter(({ number }) => number <= ancestor.number),
});
