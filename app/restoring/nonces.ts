import type { ChainAccess } from "#core/chain/chain.ts";
import type { KeyStore } from "#core/chain/keys.ts";

/** Up to where a chain is looked through, and what is not sure there yet. */
export type Standing = {
  readonly chain: string;
  /** Of the final block, and of the newest one. */
  readonly final: bigint;
  readonly latest: bigint;
  /** Transactions that each account has in final blocks. */
  readonly nonces: ReadonlyMap<string, number>;
  /** Why what the accounts did may not all be known yet, in words. */
  readonly unsure: readonly string[];
};

/** Looks at all chains. One that does not answer is waited for, unless an operator will not: then it is left out. */
export async function readStandings(
  chains: readonly ChainAccess[],
  keyStore: Pick<KeyStore, "names" | "address">,
  forced: boolean,
): Promise<Standing[]> {
  const looked = await Promise.allSettled(chains.map((chain) => readStanding(chain, keyStore)));
  const silent = looked.find((each) => each.status === "rejected");
  if (silent && !forced) throw silent.reason;
  return looked.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
}

/**
 * What a chain knows of the managed accounts. Everything that they ever sent is either in a final block or in no node's
 * pool where nothing is unsure.
 */
async function readStanding(chain: ChainAccess, keyStore: Pick<KeyStore, "names" | "address">): Promise<Standing> {
  const [final, latest] = [await chain.block("final"), await chain.block("latest")];
  if (!final || !latest) {
    const unsure = [`${chain.name} has no final block`];
    return { chain: chain.name, final: -1n, latest: -1n, nonces: new Map(), unsure };
  }
  const nonces = new Map<string, number>();
  const unsure: string[] = [];
  for (const name of keyStore.names()) {
    const address = keyStore.address(name);
    const [settled, mined, pending] = await Promise.all([
      chain.account(address, final.number),
      chain.account(address),
      chain.pendingNonce(address),
    ]);
    nonces.set(name, settled.nonce);
    if (pending > mined.nonce) {
      unsure.push(`${pending - mined.nonce} transactions of ${name} wait for a block of ${chain.name}`);
    } else if (mined.nonce > settled.nonce) {
      unsure.push(`${mined.nonce - settled.nonce} transactions of ${name} on ${chain.name} are not final yet`);
    }
  }
  return { chain: chain.name, final: final.number, latest: latest.number, nonces, unsure };
}

/**
 * What may not be known yet of what accounts did, after an earlier look at which it was, in words. They may have sent though
 * this service has not.
 */
export function unknownSince(before: readonly Standing[], now: readonly Standing[]): string[] {
  const known = new Map(before.map((each) => [each.chain, each]));
  return now.flatMap(({ chain, nonces, unsure }) => {
    const moved = [...nonces].filter(([name, nonce]) => nonce !== (known.get(chain)?.nonces.get(name) ?? nonce));
    const told = ([name]: readonly [string, number]) =>
      `${name} has sent on ${chain} since the restore: is the service from before still running?`;
    return [...moved.map(told), ...unsure];
  });
}
