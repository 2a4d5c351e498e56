import { createPublicClient, erc20Abi, http, type PublicClient } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import type { Network } from "../network/network.ts";

/** What an account holds, in smallest units, and all it ever paid for gas on that chain, in wei. */
type Holding = { readonly coin: bigint; readonly tokens: bigint; readonly gasPaid: bigint };

/** Account → chain → holding. */
export type Holdings = Readonly<Record<string, Readonly<Record<string, Holding>>>>;

/** Reads balances from the chains themselves, past the service that is being shown. */
export type Ledger = {
  holdings(accounts: readonly string[]): Promise<Holdings>;
  gasUsed(chain: string, transactionHash: Hex): Promise<bigint>;
};

export function createLedger(network: Network): Ledger {
  // Without the library's cache of the block number, which would hide the newest blocks for seconds.
  const clients = Object.fromEntries(
    Object.values(network.chains).map(({ name, url }) => [
      name,
      createPublicClient({ transport: http(url, { batch: true }), cacheTime: 0 }),
    ]),
  );
  const clientOf = (chain: string): PublicClient => {
    const client = clients[chain];
    if (!client) throw new RangeError(`no chain ${chain}`);
    return client;
  };

  async function holdingsOn(chain: string, address: Hex): Promise<Holding> {
    const client = clientOf(chain);
    const token = network.chains[chain]?.deployment.token ?? address;
    const [coin, tokens, gasPaid] = await Promise.all([
      client.getBalance({ address }),
      client.readContract({ address: token, abi: erc20Abi, functionName: "balanceOf", args: [address] }),
      gasPaidBy(client, address),
    ]);
    return { coin, tokens, gasPaid };
  }

  return {
    async holdings(accounts) {
      const rows = accounts.map(async (account) => {
        const address = network.accounts[account]?.address ?? "0x";
        const chains = Object.keys(network.chains).map(
          async (chain) => [chain, await holdingsOn(chain, address)] as const,
        );
        return [account, Object.fromEntries(await Promise.all(chains))] as const;
      });
      return Object.fromEntries(await Promise.all(rows));
    },
    async gasUsed(chain, hash) {
      return (await clientOf(chain).getTransactionReceipt({ hash })).gasUsed;
    },
  };
}

/** Every transaction of the account from the first block on: a local chain is short enough to read whole. */
async function gasPaidBy(client: PublicClient, address: Hex): Promise<bigint> {
  const head = await client.getBlockNumber();
  const numbers = Array.from({ length: Number(head) + 1 }, (_, i) => BigInt(i));
  const blocks = await Promise.all(
    numbers.map((blockNumber) => client.getBlock({ blockNumber, includeTransactions: true })),
  );
  const own = blocks.flatMap(({ transactions }) => transactions).filter(({ from }) => from === address.toLowerCase());
  const receipts = await Promise.all(own.map(({ hash }) => client.getTransactionReceipt({ hash })));
  return receipts.reduce((sum, { gasUsed, effectiveGasPrice }) => sum + gasUsed * effectiveGasPrice, 0n);
}
