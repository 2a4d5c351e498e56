import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { numberToHex } from "viem";
import { createChain } from "#core/chain/createChain.ts";
import { mayHoldLogsOf } from "#core/indexer/bloom.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { quietLog } from "../../support/databases.ts";
import { startLocalChain } from "../../support/localChain.ts";
import { deployRinger } from "../../support/tinyContracts.ts";

describe("the bloom filter of a block", () => {
  it("holds every address that logged in it, and hardly another", async () => {
    const local = await startLocalChain(991_010);
    try {
      const ringer = await deployRinger(local);
      await ringer.ring(1n);
      const config = { name: "a", chainId: local.chainId, endpoints: [local.url], finality: { blocks: 0 } };
      const block = await createChain(config, { log: quietLog, clock: systemClock }).block("latest");
      const bloom = block?.logsBloom;
      assert.ok(bloom);
      assert.equal(mayHoldLogsOf(ringer.address, bloom), true);
      const others = Array.from({ length: 200 }, (_, n) => numberToHex(n + 1, { size: 20 }));
      assert.ok(others.filter((address) => mayHoldLogsOf(address, bloom)).length < 5);
    } finally {
      await local.close();
    }
  });

  it("excludes nothing when it is malformed", () => {
    assert.equal(mayHoldLogsOf("0x0000000000000000000000000000000000000001", "0x00"), true);
  });
});
