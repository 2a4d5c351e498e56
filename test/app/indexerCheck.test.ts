import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { indexerCheck } from "#app/api/indexerCheck.ts";
import type { IndexerStatus } from "#core/indexer/createIndexer.ts";

const status: IndexerStatus = {
  ...{ chain: "alpha", state: "running", indexed: 5n, final: 5n, head: 5n, healthyAt: 1_000 },
  ...{ checked: 5n, verified: 5n, error: undefined },
};
const after = (ms: number, pollMs: number) => indexerCheck(status, pollMs, () => 1_000 + ms).check();

describe("the check of an indexer", () => {
  it("fails when nothing good came from the chain for long, and not between looks that are seldom", async () => {
    assert.equal(await after(30_000, 50), undefined);
    assert.match(String(await after(30_001, 50)), /30 s/);
    assert.equal(await after(60_000, 60_000), undefined);
    assert.match(String(await after(180_001, 60_000)), /180 s/);
  });
});
