import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createChainRoutes } from "#app/api/chains.ts";
import type { RegistryChanges } from "#app/registry/changes.ts";
import type { ChainEntry } from "#app/registry/registry.ts";
import type { ChainAccess } from "#core/chain/chain.ts";
import { chainConfigSchema } from "#core/config/chains.ts";
import { createHttpServer, type HttpServer } from "#core/http/server.ts";
import type { Indexer, IndexerStatus } from "#core/indexer/createIndexer.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { fixed } from "#core/kernel/live.ts";
import { quietLog } from "../support/databases.ts";

const fork = { number: 7n, hash: `0x${"7".repeat(64)}` } as const;
const address = `0x${"1".repeat(40)}`;
const config = chainConfigSchema.parse({
  ...{ chainId: 1, endpoints: ["http://127.0.0.1:1"], finality: "safe", gateway: address, timelock: address },
  ...{ blockSeconds: 1, inclusionSeconds: 1, skewSeconds: 1 },
});
const entryOf = (name: string): ChainEntry => ({
  ...{ name, settings: config, source: "file", state: "active", revision: 0n },
  access: { endpoints: () => [] } as unknown as ChainAccess,
});
const tooDeep = new LockstepError("reorg-too-deep", "a final block is gone", {
  details: { fork: fork.number, fork_hash: fork.hash },
});
const halted: IndexerStatus = {
  ...{ chain: "alpha", state: "halted", indexed: 20n, final: 14n, head: 25n, healthyAt: 1, checked: 14n },
  ...{ verified: 13n, error: tooDeep },
};

describe("routes of chains", () => {
  let app: HttpServer;
  let status = halted;
  const asked: unknown[] = [];
  const nothing = async () => undefined;
  const indexer: Indexer = {
    ...{ start: () => undefined, stop: nothing, wake: () => undefined, readAgain: nothing, status: () => status },
    async reindex(given) {
      asked.push(given);
      if (given.hash !== fork.hash) throw new LockstepError("reindex-refused", "the chain has another block there");
      status = { ...halted, state: "running", error: undefined };
    },
  };
  before(async () => {
    app = await createHttpServer({ log: quietLog, title: "test", version: "1", description: "" });
    const registry = { chains: fixed({ alpha: entryOf("alpha"), beta: entryOf("beta") }) };
    const changes = {} as RegistryChanges;
    const sender = { status: () => [], stuck: async () => [] };
    const observations = {
      of: (chain: string) => (chain === "alpha" ? { inclusionSeconds: 7.5, skewSeconds: 3 } : {}),
    };
    const fleet = { chains: async () => new Map([["alpha", status]]) };
    const indexers = new Map([["alpha", indexer]]);
    await createChainRoutes({ registry, changes, indexers, fleet, sender, observations })(app);
  });
  after(() => app?.close());
  const reindex = async (name: string, body: object) => {
    const response = await app.inject({ method: "POST", url: `/v1/chains/${name}/reindex`, payload: body });
    return { status: response.statusCode, body: response.json() };
  };

  it("say how far a chain is assured, why it is halted, and which block to name", async () => {
    const { chains } = (await app.inject({ url: "/v1/chains" })).json();
    const { indexer: state, checked, verified, error, fork: named } = chains[0];
    assert.deepEqual([state, checked, verified, error.code], ["halted", "14", "13", "reorg-too-deep"]);
    assert.deepEqual(named, { number: "7", hash: fork.hash });
    assert.deepEqual([chains[1].indexer, chains[1].fork], ["stopped", undefined]);
  });

  it("show what is observed next to what is configured, and that a clock is off", async () => {
    const { chains } = (await app.inject({ url: "/v1/chains" })).json();
    const shown = chains.map((each: Record<string, unknown>) => [
      each.inclusionSeconds,
      each.outageSeconds,
      each.observed,
    ]);
    assert.deepEqual(shown, [
      [1, 0, { inclusionSeconds: 7.5, skewSeconds: 3, timeOff: true }],
      [1, 0, { timeOff: false }],
    ]);
  });

  it("take a chain up again only from a fork that is named in full and fits", async () => {
    for (const body of [{}, { fork: { number: "7" } }, { fork: { hash: fork.hash } }, { fork, force: true }]) {
      assert.equal((await reindex("alpha", JSON.parse(JSON.stringify(body, bigints)))).status, 400);
    }
    assert.deepEqual(asked, []);
    const wrong = await reindex("alpha", { fork: { number: "7", hash: `0x${"8".repeat(64)}` } });
    assert.deepEqual([wrong.status, wrong.body.code], [409, "reindex-refused"]);
    const right = await reindex("alpha", { fork: { number: "7", hash: fork.hash } });
    assert.deepEqual([right.status, right.body.indexer, right.body.error], [202, "running", undefined]);
    assert.deepEqual(asked.at(-1), fork);
  });

  it("know no chain that is not there, and no indexer that another process runs", async () => {
    const body = { fork: { number: "7", hash: fork.hash } };
    assert.equal((await reindex("gamma", body)).status, 404);
    assert.deepEqual((await reindex("beta", body)).body.code, "reindex-refused");
  });
});

const bigints = (_key: string, value: unknown) => (typeof value === "bigint" ? value.toString() : value);
