import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { chainChecks } from "#app/api/chainChecks.ts";
import { createChainRoutes } from "#app/api/chains.ts";
import type { RegistryChanges } from "#app/registry/changes.ts";
import type { ChainEntry } from "#app/registry/registry.ts";
import type { ChainAccess, EndpointStatus } from "#core/chain/chain.ts";
import { chainConfigSchema } from "#core/config/chains.ts";
import { createHealthRoutes } from "#core/http/health.ts";
import { serveMetrics } from "#core/http/metrics.ts";
import { createHttpServer, type HttpServer } from "#core/http/server.ts";
import type { Indexer, IndexerStatus } from "#core/indexer/createIndexer.ts";
import { fixed } from "#core/kernel/live.ts";
import { createMetrics } from "#core/observe/metrics.ts";
import type { RunningSender } from "#core/sender/createSender.ts";
import { quietLog } from "../support/databases.ts";

const good: EndpointStatus = {
  ...{ endpoint: "one.example", state: "healthy", usable: true, socket: "live" },
  ...{ latencyMs: 1.234, lastGoodAt: 0, head: 12n },
};
const bad: EndpointStatus = { endpoint: "two.example", state: "open", usable: false, reason: "timeout" };

const sender: Pick<RunningSender, "status" | "stuck"> = {
  status: () => [
    {
      ...{ chain: "alpha", account: "alice", state: "running", open: 2, oldestWaitingMs: 61_000, balance: 5n },
      ...{ free: 5n, lowBelow: 9n, maxFeePerGas: undefined, error: undefined },
    },
  ],
  stuck: async () => [
    {
      chain: "alpha",
      account: "alice",
      intent: "i",
      kind: "relay.deliver",
      ageMs: 61_000,
      reason: "inclusion-stalled",
    },
  ],
};

describe("endpoints as operators see them", () => {
  let app: HttpServer;
  let endpoints: EndpointStatus[];
  let paused: boolean;
  let indexers: Map<string, Pick<Indexer, "status">>;
  beforeEach(async () => {
    app = await createHttpServer({ log: quietLog, title: "t", version: "1", description: "d" });
    const access = { name: "alpha", endpoints: () => endpoints } as ChainAccess;
    const contract = "0x0000000000000000000000000000000000000001";
    const alpha = chainConfigSchema.parse({
      ...{
        chainId: 1,
        gateway: contract,
        timelock: contract,
        finality: { blocks: 3 },
        endpoints: ["http://one.example"],
      },
      ...{ blockSeconds: 1, inclusionSeconds: 1, skewSeconds: 1 },
    });
    const entry: ChainEntry = { name: "alpha", settings: alpha, source: "file", state: "active", revision: 0n, access };
    paused = false;
    indexers = new Map();
    const fleet = {
      hasOthers: () => false,
      chains: async () => new Map([...indexers].map(([name, indexer]) => [name, indexer.status()] as const)),
    };
    await createHealthRoutes(() =>
      chainChecks([{ ...entry, state: paused ? "paused" : "active" }], { indexers, fleet }),
    )(app);
    const registry = { chains: fixed({ alpha: entry }) };
    await createChainRoutes({
      registry,
      changes: {} as RegistryChanges,
      indexers: indexers as Map<string, Indexer>,
      fleet,
      sender,
      observations: { of: () => ({}) },
    })(app);
    serveMetrics(app, createMetrics({ process: true }));
  });
  afterEach(() => app.close());
  const get = async (url: string) => {
    const { statusCode, body } = await app.inject({ method: "GET", url });
    return { status: statusCode, body };
  };
  const ready = async () => {
    const { status, body } = await get("/health/ready");
    return { status, check: (JSON.parse(body) as { checks: unknown[] }).checks[0] };
  };

  it("are well", async () => {
    endpoints = [good];
    assert.deepEqual(await ready(), { status: 200, check: { name: "endpoints alpha", ok: true } });
  });

  it("are a warning while one of them is bad, and the process stays ready", async () => {
    endpoints = [good, bad];
    const warning = "two.example is open (timeout)";
    assert.deepEqual(await ready(), { status: 200, check: { name: "endpoints alpha", ok: true, warning } });
  });

  it("make the process unready when none can be used", async () => {
    endpoints = [bad, { ...good, state: "disagreeing", usable: false, reason: "contradicts-majority" }];
    const reason = "two.example is open (timeout), one.example is disagreeing (contradicts-majority)";
    assert.deepEqual(await ready(), { status: 503, check: { name: "endpoints alpha", ok: false, reason } });
  });

  it("are only a warning while their chain is paused, and so is that it cannot be read", async () => {
    endpoints = [bad];
    const status = { chain: "alpha", state: "running", healthyAt: 1_000 } as IndexerStatus;
    indexers.set("alpha", { status: () => status });
    assert.equal((await get("/health/ready")).status, 503);
    paused = true;
    const { status: code, body } = await get("/health/ready");
    assert.equal(code, 200);
    const { checks } = JSON.parse(body) as { checks: { name: string; ok: boolean; warning?: string }[] };
    assert.deepEqual(
      checks.map(({ name, ok, warning }) => [name, ok, warning?.slice(0, 32)]),
      [
        ["endpoints alpha", true, "paused: two.example is open (tim"],
        ["indexer alpha", true, "paused: no good answer from the "],
      ],
    );
  });

  it("are listed with their chain", async () => {
    endpoints = [good, bad];
    const { chains } = JSON.parse((await get("/v1/chains")).body) as { chains: { endpoints: unknown }[] };
    assert.deepEqual(chains[0]?.endpoints, [
      {
        ...{ endpoint: "one.example", state: "healthy", socket: "live" },
        ...{ latencyMs: 1.2, lastGoodAt: "1970-01-01T00:00:00.000Z", head: "12", lag: "0" },
      },
      { endpoint: "two.example", state: "open", reason: "timeout" },
    ]);
  });

  it("are listed with how far the indexer is behind, and with the accounts, what they hold and what is stuck", async () => {
    endpoints = [good, { ...good, endpoint: "three.example", head: 10n }];
    const status = { chain: "alpha", state: "running", head: 12n, indexed: 9n } as IndexerStatus;
    indexers.set("alpha", { status: () => status });
    type Listed = { lag: string; endpoints: { lag: string }[]; accounts: unknown[] };
    const { chains } = JSON.parse((await get("/v1/chains")).body) as { chains: Listed[] };
    assert.equal(chains[0]?.lag, "3");
    assert.deepEqual(
      chains[0]?.endpoints.map(({ lag }) => lag),
      ["0", "2"],
    );
    assert.deepEqual(chains[0]?.accounts, [
      {
        ...{ account: "alice", state: "running", open: 2, waitingSeconds: 61, balance: "5", low: true, lowBelow: "9" },
        stuck: { intent: "i", kind: "relay.deliver", seconds: 61, reason: "inclusion-stalled" },
      },
    ]);
  });

  it("come with metrics of the process", async () => {
    const { status, body } = await get("/metrics");
    assert.equal(status, 200);
    assert.match(body, /^process_cpu_seconds_total /m);
  });
});
