import assert from "node:assert/strict";
import { it } from "node:test";
import { encodeEventTopics, encodeFunctionResult } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { migrate } from "#core/db/migrate.ts";
import type { Lanes } from "#relay/lane.ts";
import { createSetFactsCheck, setMigrations } from "#relay/setFacts.ts";
import { onDatabase, withDatabase } from "../support/databases.ts";

const chain = {
  chainId: 2,
  call: async () => encodeFunctionResult({ abi: gatewayAbi, functionName: "newestEpoch", result: 3n }),
};
const lane = {
  ...{ origin: "alpha", destination: "beta" },
  from: { chain: { chainId: 1 } },
  to: { chain, gateway: `0x${"1".repeat(40)}` },
};
const lanes = { all: [lane] } as unknown as Lanes;
const missing = { code: "logs-missing", details: { lane: "alpha→beta", chain: "beta", block: 9n } };

await onDatabase("the newest validators of a lane", (backend) => {
  it("are missed in a database that has no facts about them, until they are read from the start", () =>
    withDatabase(backend, async ({ db }) => {
      await migrate(db, setMigrations);
      const check = createSetFactsCheck({ db, lanes, known: 2n });
      await assert.rejects(check("beta", 9n, 0n), missing);
      assert.equal(await check("alpha", 9n, 0n), true, "its validators are named at the destination");
      assert.equal(
        await createSetFactsCheck({ db, lanes, known: 3n })("beta", 9n, 0n),
        true,
        "the configuration has them",
      );
      for (const epoch of [2n, 3n]) {
        await assert.rejects(check("beta", 9n, 0n), missing);
        const args = { originChainId: 1n, epoch };
        const topics = encodeEventTopics({ abi: gatewayAbi, eventName: "EpochRevoked", args });
        await db.query("INSERT INTO relay_set_facts VALUES ('beta', 1, $1, $1, 0, $2, '0x')", [epoch, topics.join()]);
      }
      assert.equal(await check("beta", 9n, 0n), true);
    }));
});
