import type { Chain } from "#core/chain/chain.ts";
import type { Db } from "#core/db/db.ts";
import type { EventStore, StoredEvent } from "#core/events/store.ts";
import type { ChainObserver } from "#core/indexer/observer.ts";
import { type Clock, unixSeconds } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Sender } from "#core/sender/sender.ts";
import type { SwapChains } from "./chains.ts";
import { type LegName, type SwapEvent, swapStream } from "./events.ts";
import { isOpenAt } from "./openLock.ts";
import { foldSwap, type Swap } from "./swap.ts";

/** Legs compared in one look: of those under way, of those that expire next, and of all in turn, so many each. */
const mostOfEach = 22;

/** How long before a swap was requested its lock may have been made by the chain's own time. Seconds. */
const earliestLockSeconds = 3_600;

type LegRow = {
  readonly swap_id: string;
  readonly leg: LegName;
  readonly lock_id: string;
  readonly lock_block: bigint | null;
  readonly requested_at: Date;
};

/**
 * Compares legs of open swaps with what the timelock says of their locks at a final block, since logs that a node hides
 * twice are found by nothing else: a lock that nobody saw would never be refunded, and of a claim that nobody saw the
 * secret would not be used. Throws `logs-missing` naming the swap.
 */
export function createLegCheck(deps: {
  db: Db;
  store: EventStore;
  chains: SwapChains;
  sender: Pick<Sender, "find">;
  clock: Clock;
}): NonNullable<ChainObserver["check"]> {
  /** By chain, the lock after which those in turn come next. */
  const turns = new Map<string, string>();
  /** By chain, locks that did not agree: compared in every look until they do. */
  const odd = new Map<string, readonly string[]>();

  /** `last`: where the next turn begins once these were compared. */
  async function legsFor(chain: string, final: bigint): Promise<{ rows: LegRow[]; last: string }> {
    const ask = (which: Which) => openLegs(deps.db, chain, final, which);
    const found = await Promise.all([
      ask({ where: "l.lock_id = any($4)", value: odd.get(chain) ?? [], by: "l.lock_id" }),
      ask({ where: "l.pending and l.lock_started = $4", value: true, by: "l.timelock" }),
      ask({ where: "l.lock_block is not null and l.timelock > $4", value: unixSeconds(deps.clock), by: "l.timelock" }),
    ]);
    const turn = await ask({ where: "l.lock_id > $4", value: turns.get(chain) ?? "", by: "l.lock_id" });
    const rows = [...new Map([...found.flat(), ...turn].map((row) => [row.lock_id, row])).values()];
    return { rows, last: turn.length < mostOfEach ? "" : (turn.at(-1)?.lock_id ?? "") };
  }

  return async (name, final, start) => {
    const chain = deps.chains.find(name)?.chain;
    if (!chain) return true;
    const { rows, last } = await legsFor(name, final);
    const streams = await deps.store.loadMany<SwapEvent>(
      deps.db,
      rows.map(({ swap_id }) => swapStream(swap_id)),
    );
    const answers = await Promise.allSettled(
      rows.map(async (row) => {
        const swap = foldSwap((streams.get(swapStream(row.swap_id)) ?? []) as readonly StoredEvent<SwapEvent>[]);
        const gap =
          swap && ((await ownGap(chain, swap, row.leg, final)) ?? (await openGap(chain, swap, row, { start, final })));
        return gap ? [{ row, ...gap }] : [];
      }),
    );
    const gaps = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
    odd.set(
      name,
      gaps.map(({ row }) => row.lock_id),
    );
    // Whatever becomes of this look: one leg that cannot be asked about must not keep those after it from their turn.
    turns.set(name, last);
    const [first] = gaps.toSorted((a, b) => (a.after < b.after ? -1 : 1));
    // What is known to be missing comes before what could not be asked.
    const failed = answers.find(({ status }) => status === "rejected");
    if (!first && failed?.status === "rejected") throw failed.reason;
    if (!first) return true;
    const { swap_id: swap, leg } = first.row;
    throw new LockstepError("logs-missing", `swap ${swap}, ${leg} leg, on ${name} at block ${final}: ${first.words}`, {
      details: { swap, leg, chain: name, block: final, after: first.after },
    });
  };

  /** A lock that a transaction of this service made in a final block, and nobody saw, whether it is still open or not. */
  async function ownGap(chain: Chain, swap: Swap, leg: LegName, final: bigint): Promise<Gap | undefined> {
    const step = swap.steps[`lock-${leg}`];
    if (step?.state !== "started" || swap.legs[leg].lock) return undefined;
    const intent = await deps.sender.find(deps.db, step.intentId);
    if (intent?.state !== "finalized" || intent.status !== "success" || intent.blockNumber > final) return undefined;
    // What was final on a branch that an operator has given up is not missing.
    if ((await chain.receipt(intent.hash))?.blockNumber !== intent.blockNumber) return undefined;
    return { words: `it was locked in block ${intent.blockNumber}, none is recorded`, after: intent.blockNumber - 1n };
  }
}

/** Where what is recorded and what the chain says part, and the height from which on logs may be missing. */
type Gap = { readonly words: string; readonly after: bigint };

/** A leg is open by the record exactly when its lock is recorded: those with an end are not asked about. */
async function openGap(
  chain: Chain,
  swap: Swap,
  { leg, lock_block: lock, requested_at: requested }: LegRow,
  range: { readonly start: bigint; readonly final: bigint },
): Promise<Gap | undefined> {
  const isOpen = await isOpenAt(chain, swap, leg, range.final);
  if (isOpen === (lock !== null)) return undefined;
  if (lock !== null) return { words: "the lock is not open, no end is recorded", after: lock };
  const after = await blockBefore(chain, unixSecondsOf(requested) - earliestLockSeconds, range);
  return { words: "the lock is open, none is recorded", after };
}

/** `where` is about `$4`, the value. */
type Which = {
  readonly where: string;
  readonly value: string | bigint | boolean | readonly string[];
  readonly by: string;
};

/** Legs that have no end, of swaps that go on: their lock is recorded up to the final block, or still to come. */
function openLegs(db: Db, chain: string, final: bigint, { where, value, by }: Which): Promise<LegRow[]> {
  return db.query<LegRow>(
    `select l.swap_id, l.leg, l.lock_id, l.lock_block, s.requested_at from swap_legs l join swaps s on s.id = l.swap_id
      where l.chain = $1 and l.end_block is null and (l.pending or l.lock_block is not null)
        and (l.lock_block is null or l.lock_block <= $2) and not l.ended and ${where}
      order by ${by} limit $3`,
    [chain, final, mostOfEach, value],
  );
}

const unixSecondsOf = (at: Date): number => Math.floor(at.getTime() / 1_000);

/** The last block that is older than a time, or the first one that is read. */
async function blockBefore(
  chain: Chain,
  seconds: number,
  { start, final }: { readonly start: bigint; readonly final: bigint },
): Promise<bigint> {
  let [low, high] = [start, final];
  while (low < high) {
    const middle = (low + high + 1n) / 2n;
    const block = await chain.block(middle);
    // What cannot be read counts as later: more is read again than has to be.
    if (block !== undefined && block.timestamp < BigInt(seconds)) low = middle;
    else high = middle - 1n;
  }
  return low;
}
