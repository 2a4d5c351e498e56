import type { Block, Chain, ChainLog, LogFilter } from "../chain/chain.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Hex } from "../kernel/codec.ts";
import type { Log } from "../observe/log.ts";
import { mayHoldLogsOf } from "./bloom.ts";
import type { IndexedBlock } from "./observer.ts";
import type { KnownBlock } from "./reconcile.ts";
import type { RecordedBlock } from "./tables.ts";
import { createLogWindow } from "./window.ts";

/** Up to so many blocks are read one by one, which shows more lies than reading logs alone. */
const singlyRead = 32n;
/** Further looks at a block whose bloom filter speaks of logs that the node does not give. */
const bloomRetries = 2;
/** Blocks with logs that are read at once: a window can hold thousands. */
const blocksAtOnce = 50;

type SpanRequest = {
  /** The last block indexed; the span starts after it. */
  readonly tip: KnownBlock;
  readonly head: Block;
  /** Height up to which blocks cannot change any more. */
  readonly final: bigint;
  readonly addresses: readonly Hex[];
  /** Blocks read already. */
  readonly blocks: ReadonlyMap<bigint, Block>;
};

type Span = {
  /** Ascending; the last is the new tip. Without gap unless all of them are final. */
  readonly recorded: readonly RecordedBlock[];
  /** Those with logs. */
  readonly indexed: readonly IndexedBlock[];
};

export type SpanReader = {
  /** The next blocks after the tip; undefined when the chain changed meanwhile or the node lags: look again. */
  next(request: SpanRequest): Promise<Span | undefined>;
  /** Logs of a range, in as many requests as it takes. */
  logs(filter: LogFilter): Promise<ChainLog[]>;
};

export const logId = (log: ChainLog): string => `${log.transactionHash}:${log.logIndex}`;

/** Reads blocks and logs, in a window that follows what the node can do. */
export function createSpanReader(deps: {
  chain: Chain;
  logWindow: number;
  pauseMs: number;
  clock: Clock;
  log: Log;
}): SpanReader {
  const { chain, clock, log } = deps;
  const window = createLogWindow(BigInt(deps.logWindow));

  async function askLogs(filter: LogFilter): Promise<ChainLog[]> {
    const span = filter.toBlock - filter.fromBlock + 1n;
    try {
      const found = await chain.logs(filter);
      window.answered(span);
      return found;
    } catch (error) {
      if (window.refused(span, error)) {
        log.warn({ chain: chain.name, err: error, window: window.width() }, "log window is narrowed");
      }
      throw error;
    }
  }

  /** A range that is all final: only blocks with logs are read and recorded, and both ends. */
  async function finalSpan({ tip, final, addresses }: SpanRequest): Promise<Span | undefined> {
    const from = tip.number + 1n;
    const to = least(final, from + window.width() - 1n);
    const [first, last, logs] = await Promise.all([
      chain.block(from),
      chain.block(to),
      askLogs({ fromBlock: from, toBlock: to, addresses }),
    ]);
    if (first === undefined || last === undefined || first.parentHash !== tip.hash) return undefined;
    const groups = Map.groupBy(logs, (entry) => entry.blockNumber);
    const numbers = [...groups.keys()].sort((a, b) => (a < b ? -1 : 1));
    const blocks: (Block | undefined)[] = [];
    for (let done = 0; done < numbers.length; done += blocksAtOnce) {
      const some = numbers.slice(done, done + blocksAtOnce);
      blocks.push(...(await Promise.all(some.map((number) => (number === to ? last : chain.block(number))))));
    }
    const indexed = join(blocks, groups);
    if (indexed === undefined) return undefined;
    const recorded = indexed.map(({ block, logs }) => record(block, logs));
    return { recorded: groups.has(to) ? recorded : [...recorded, record(last, [])], indexed };
  }

  async function liveSpan({ tip, head, addresses, blocks }: SpanRequest): Promise<Span | undefined> {
    const from = tip.number + 1n;
    const to = least(head.number, from + least(window.width(), singlyRead) - 1n);
    const numbers = Array.from({ length: Number(to - from) + 1 }, (_, index) => from + BigInt(index));
    const read = await Promise.all(
      numbers.map((number) => (number === head.number ? head : (blocks.get(number) ?? chain.block(number)))),
    );
    const chained = read.flatMap((block) => (block === undefined ? [] : [block]));
    const linked = chained.every((block, index) => block.parentHash === (chained[index - 1] ?? tip).hash);
    if (chained.length < numbers.length || !linked) return undefined;
    const groups = await completeLogs(chained, addresses);
    const indexed = join(
      chained.filter((block) => groups.has(block.number)),
      groups,
    );
    if (indexed === undefined) return undefined;
    return { recorded: chained.map((block) => record(block, groups.get(block.number) ?? [])), indexed };
  }

  async function completeLogs(blocks: readonly Block[], addresses: readonly Hex[]) {
    const [from, to] = [blocks[0]?.number ?? 0n, blocks.at(-1)?.number ?? -1n];
    for (let attempt = 0; ; attempt++) {
      const groups = Map.groupBy(
        await askLogs({ fromBlock: from, toBlock: to, addresses }),
        (entry) => entry.blockNumber,
      );
      const doubtful = blocks.filter(
        ({ number, logsBloom }) =>
          !groups.has(number) &&
          logsBloom !== undefined &&
          addresses.some((address) => mayHoldLogsOf(address, logsBloom)),
      );
      if (doubtful.length === 0 || attempt === bloomRetries) return groups;
      log.debug({ chain: chain.name, block: doubtful[0]?.number, attempt }, "logs may be missing, asking again");
      await clock.sleep(deps.pauseMs);
    }
  }

  return {
    next: (request) => (request.final - request.tip.number > singlyRead ? finalSpan(request) : liveSpan(request)),
    async logs(filter) {
      const found: ChainLog[] = [];
      for (let fromBlock = filter.fromBlock; fromBlock <= filter.toBlock; ) {
        const toBlock = least(filter.toBlock, fromBlock + window.width() - 1n);
        found.push(...(await askLogs({ ...filter, fromBlock, toBlock })));
        fromBlock = toBlock + 1n;
      }
      return found;
    },
  };
}

const least = (a: bigint, b: bigint) => (a < b ? a : b);

const record = (block: Block, logs: readonly ChainLog[]): RecordedBlock => ({
  number: block.number,
  hash: block.hash,
  logs: logs.map(logId),
});

/** Blocks with their logs; undefined when a log names another block than the one just read. */
function join(
  blocks: readonly (Block | undefined)[],
  groups: ReadonlyMap<bigint, readonly ChainLog[]>,
): IndexedBlock[] | undefined {
  const joined: IndexedBlock[] = [];
  for (const block of blocks) {
    const logs = block === undefined ? undefined : groups.get(block.number);
    if (block === undefined || logs === undefined || logs.some((entry) => entry.blockHash !== block.hash)) {
      return undefined;
    }
    joined.push({ block, logs });
  }
  return joined;
}
