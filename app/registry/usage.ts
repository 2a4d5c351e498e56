import type { Queryable, Tx } from "#core/db/db.ts";
import type { OpenIntents } from "#core/sender/queries.ts";
import type { Lane } from "#relay";

/** What is unfinished where something is to be removed; `queued` are intents that nothing was signed for yet. */
export type Usage = {
  readonly messages: number;
  readonly swaps: number;
  readonly intents: number;
  readonly queued: number;
};

export type UsageReader = {
  ofChain(tx: Tx, chain: string): Promise<Usage>;
  ofLane(tx: Tx, lane: Lane): Promise<Usage>;
};

type Deps = {
  relay: { unfinished(from: Queryable, scope: { chain: string } | Lane): Promise<number> };
  swaps: { unfinished(from: Queryable, chain: string): Promise<number> };
  sender: { unfinished(from: Queryable, chain: string): Promise<OpenIntents> };
};

export function createUsageReader({ relay, swaps, sender }: Deps): UsageReader {
  return {
    async ofChain(tx, chain) {
      const messages = await relay.unfinished(tx, { chain });
      const open = await swaps.unfinished(tx, chain);
      const { queued, signed } = await sender.unfinished(tx, chain);
      return { messages, swaps: open, intents: signed, queued };
    },
    ofLane: async (tx, lane) => ({ messages: await relay.unfinished(tx, lane), swaps: 0, intents: 0, queued: 0 }),
  };
}
