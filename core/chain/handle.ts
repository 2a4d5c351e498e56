import type { ChainAccess } from "./chain.ts";

/** A chain whose way to it can be replaced while others hold it. */
export type ChainHandle = {
  /** Asks whatever was put behind it last. */
  readonly access: ChainAccess;
  /** For every request from now on; those under way end where they began. Must be the same chain. */
  replace(next: ChainAccess): void;
};

export function createChainHandle(first: ChainAccess): ChainHandle {
  let current = first;
  /** Who waits for heads, and how to end that at the chain that is asked now. */
  const watchers = new Map<() => void, () => void>();
  const { name, chainId } = first;
  return {
    access: {
      name,
      chainId,
      genesis: (known) => current.genesis(known),
      block: (at) => current.block(at),
      logs: (filter) => current.logs(filter),
      receipt: (transactionHash) => current.receipt(transactionHash),
      call: (request, at) => current.call(request, at),
      account: (address, at) => current.account(address, at),
      pendingNonce: (address) => current.pendingNonce(address),
      fees: () => current.fees(),
      send: (signed) => current.send(signed),
      endpoints: () => current.endpoints(),
      watchHeads(onHead) {
        const wake = () => onHead();
        watchers.set(wake, current.watchHeads(wake));
        return () => {
          watchers.get(wake)?.();
          watchers.delete(wake);
        };
      },
      verifyIdentity: () => current.verifyIdentity(),
      prove: (request, at) => current.prove(request, at),
      storage: (address, slot, at) => current.storage(address, slot, at),
      transactions: (block) => current.transactions(block),
    },
    replace(next) {
      if (next.name !== name || next.chainId !== chainId) throw new RangeError(`the handle is for ${name} ${chainId}`);
      current = next;
      for (const [wake, end] of watchers) {
        watchers.set(wake, next.watchHeads(wake));
        end();
      }
    },
  };
}
