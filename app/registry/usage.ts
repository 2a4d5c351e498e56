import type { Queryable, Tx } from "#core/db/db.ts";
import type { Lane } from "#relay";

/** What is unfinished where something is to be removed. */
export type Usage = { readonly messages: number; readonly swaps: number; readonly intents: number };

export type UsageReader = {
  ofChain(tx: Tx, chain: string): Promise<Usage>;
  ofLane(tx: Tx, lane: Lane): Promise<Usage>;
};

type Deps = {
  relay: { unfinished(from: Queryable, scope: { chain: string } | Lane): Promise<number> };
  swaps: { unfinished(from: Queryable, chain: string): Promise<number> };
  sender: { unfinished(from: Queryable, chain: string): Promise<number> };
};

export function createUsageReader({ relay, swaps, sender }: Deps): UsageReader {
  return {
    async ofChain(tx, chain) {
      const messages = await relay.unfinished(tx, { chain });
      const open = await swaps.unfinished(tx, chain);
      return { messages, swaps: open, intents: await sender.unfinished(tx, chain) };
    },
    ofLane: async (tx, lane) => ({ messages: await relay.unfinished(tx, lane), swaps: 0, intents: 0 }),
  };
}
