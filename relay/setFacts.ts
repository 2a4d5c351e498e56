import { z } from "zod";
import type { Db, Migration, Queryable, Tx } from "#core/db/db.ts";
import type { ChainObserver } from "#core/indexer/observer.ts";
import { type Hex, hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Live } from "#core/kernel/live.ts";
import type { CompletenessCheck } from "./completeness.ts";
import { createGatewayReader } from "./gateway.ts";
import { type LaneEnds, type Lanes, laneName, type RelayChain } from "./lane.ts";
import { decodeSetFact, isSetFact, type SetFact } from "./protocol/sets.ts";

/** What the destinations say about validators, as it came: everything else about epochs follows from it. */
export const setMigrations: readonly Migration[] = [
  {
    id: "relay/012-validator-sets",
    sql: `
      CREATE TABLE relay_set_facts (
        chain text NOT NULL, origin_chain_id bigint NOT NULL, epoch bigint NOT NULL, block_number bigint NOT NULL,
        log_index bigint NOT NULL, topics text NOT NULL, data text NOT NULL,
        PRIMARY KEY (chain, block_number, log_index)
      );
      CREATE INDEX relay_set_facts_epoch ON relay_set_facts (chain, origin_chain_id, epoch DESC);
    `,
  },
];

/** Epochs of a lane that are remembered when they are read; signatures of older ones are not collected. */
const rememberedEpochs = 16;

const row = z.object({ topics: z.string().transform((text) => z.array(hex).parse(text.split(","))), data: hex });

/** The facts of one lane's newest epochs, in the order of the chain. */
async function setFacts(from: Queryable, destination: string, originChainId: number): Promise<SetFact[]> {
  const rows = await from.query<{ topics: string; data: Hex }>(
    `SELECT topics, data FROM relay_set_facts
      WHERE chain = $1 AND origin_chain_id = $2 AND epoch > (
        SELECT max(epoch) - $3 FROM relay_set_facts WHERE chain = $1 AND origin_chain_id = $2)
      ORDER BY block_number, log_index`,
    [destination, originChainId, rememberedEpochs],
  );
  return rows.flatMap((each) => decodeSetFact(row.parse(each)) ?? []);
}

/** An observer that keeps facts about validators besides what another one does. */
export function withSetFacts(
  inner: ChainObserver,
  deps: { chains: Live<RelayChain>; lanes: Lanes; changed(): void },
): ChainObserver {
  async function forgetRevoked(tx: Tx, chain: RelayChain, fact: SetFact): Promise<void> {
    const lane = deps.lanes.byChainIds(fact.originChainId, chain.chain.chainId);
    if (!lane || fact.kind !== "revoked") return;
    await tx.query("DELETE FROM relay_attestations WHERE origin = $1 AND destination = $2 AND epoch = $3", [
      lane.origin,
      lane.destination,
      fact.epoch,
    ]);
  }

  return {
    ...inner,
    async included(tx, name, blocks) {
      const chain = deps.chains.get(name);
      const logs = blocks
        .flatMap((block) => block.logs)
        .filter(({ address, topics }) => address.toLowerCase() === chain?.gateway.toLowerCase() && isSetFact(topics));
      for (const { topics, data, blockNumber, logIndex } of chain ? logs : []) {
        const fact = decodeSetFact({ topics, data });
        if (!fact || !chain) continue;
        await tx.query(
          `INSERT INTO relay_set_facts (chain, origin_chain_id, epoch, block_number, log_index, topics, data)
           VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
          [name, fact.originChainId, fact.epoch, blockNumber, logIndex, topics.join(","), data],
        );
        await forgetRevoked(tx, chain, fact);
      }
      if (logs.length > 0) tx.afterCommit(deps.changed);
      await inner.included(tx, name, blocks);
    },
    async reorged(tx, name, ancestor, deep) {
      await tx.query("DELETE FROM relay_set_facts WHERE chain = $1 AND block_number > $2", [name, ancestor]);
      tx.afterCommit(deps.changed);
      await inner.reorged(tx, name, ancestor, deep);
    },
  };
}

/** The facts of every lane, by its name. */
export async function allSetFacts(from: Queryable, lanes: Lanes): Promise<Map<string, SetFact[]>> {
  const all = new Map<string, SetFact[]>();
  for (const lane of lanes.all) {
    all.set(laneName(lane), await setFacts(from, lane.destination, lane.from.chain.chainId));
  }
  return all;
}

/**
 * Compares the newest epoch that is known of each incoming lane with the gateway's own: a database that was made before
 * facts were kept has none, and a node may hide them. `known` is what the configuration speaks for. Throws `logs-missing`
 * naming the lane, so that the chain is read again from the start.
 */
export function createSetFactsCheck(deps: { db: Db; lanes: Lanes; known: bigint }): CompletenessCheck {
  const { db, lanes } = deps;

  async function checkLane(lane: LaneEnds, final: bigint): Promise<void> {
    const originChainId = lane.from.chain.chainId;
    const newest = await createGatewayReader(lane.to).newestEpoch(originChainId, final);
    if (newest <= deps.known) return;
    const facts = await setFacts(db, lane.destination, originChainId);
    if (facts.some(({ epoch }) => epoch >= newest)) return;
    const name = laneName(lane);
    const words = `its validators are those of epoch ${newest}, which is not recorded`;
    throw new LockstepError("logs-missing", `${name}, on ${lane.destination} at block ${final}: ${words}`, {
      details: { lane: name, chain: lane.destination, block: final },
    });
  }

  return async (chain, final) => {
    for (const lane of lanes.all) if (lane.destination === chain) await checkLane(lane, final);
    return true;
  };
}
