import type { Block, Chain } from "#core/chain/chain.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError } from "#core/kernel/errors.ts";

/** A chain as it was at one block: what is asked of it twice is the same. */
type Reading = {
  readonly head: Block | undefined;
  /** Wei a gas. */
  readonly maxFeePerGas: bigint;
  /** Wei of an account at the block. */
  coin(account: Hex): Promise<bigint>;
};

export type Read = (chain: Chain) => Promise<Reading>;

/** How old a reading may be that others made, in milliseconds. */
const recentMs = 250;

/** What a newer block may answer otherwise. */
const codesOfState: ReadonlySet<string> = new Set([
  "balance-insufficient",
  "token-invalid",
  "call-reverted",
  "chain-time-off",
]);

/**
 * Readings that requests of the same moment share: each would ask for the same block, and for the same accounts at it.
 * What comes of a shared one is only believed when it is good: the work that refuses something because of what somebody
 * else read before is done once more with readings of its own.
 */
export function createReadings({ clock }: { clock: Clock }): <T>(work: (read: Read) => Promise<T>) => Promise<T> {
  const kept = new Map<string, { readonly begunAt: number; readonly reading: Promise<Reading> }>();

  function begin(chain: Chain): Promise<Reading> {
    const begunAt = clock.now();
    const reading = readChain(chain);
    kept.set(chain.name, { begunAt, reading });
    reading.catch(() => {
      if (kept.get(chain.name)?.reading === reading) kept.delete(chain.name);
    });
    return reading;
  }

  /** What others read a moment ago; below 0 the clock was set back, and nobody knows how old it is. */
  function recent(chain: Chain): Promise<Reading> | undefined {
    const known = kept.get(chain.name);
    const age = known ? clock.now() - known.begunAt : 0;
    return known && age >= 0 && age <= recentMs ? known.reading : undefined;
  }

  return async (work) => {
    let isShared = false;
    try {
      return await work(
        once((chain) => {
          const reading = recent(chain);
          isShared ||= reading !== undefined;
          return reading ?? begin(chain);
        }),
      );
    } catch (error) {
      if (!isShared || !isLockstepError(error) || !codesOfState.has(error.code)) throw error;
    }
    return work(once(begin));
  };
}

/** Throughout one request a chain is the same. */
function once(read: Read): Read {
  const own = new Map<string, Promise<Reading>>();
  return (chain) => {
    const reading = own.get(chain.name) ?? read(chain);
    own.set(chain.name, reading);
    return reading;
  };
}

async function readChain(chain: Chain): Promise<Reading> {
  const [head, { maxFeePerGas }] = await Promise.all([chain.block("latest"), chain.fees()]);
  const coins = new Map<Hex, Promise<bigint>>();
  return {
    ...{ head, maxFeePerGas },
    coin(account) {
      const known = coins.get(account);
      if (known) return known;
      const coin = chain.account(account, head?.number ?? 0n).then(({ balance }) => balance);
      coins.set(account, coin);
      coin.catch(() => coins.delete(account));
      return coin;
    },
  };
}
