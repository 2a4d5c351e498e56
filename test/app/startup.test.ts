import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { startupChecks } from "#app/api/startupChecks.ts";
import { createHealthRoutes } from "#core/http/health.ts";
import { createHttpServer, type HttpServer } from "#core/http/server.ts";
import type { IndexerStatus } from "#core/indexer/createIndexer.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { quietLog as log } from "#test/support/databases.ts";

const unknown = { indexed: undefined, final: undefined, head: undefined, checked: undefined, verified: undefined };

describe("the start of a process", () => {
  let app: HttpServer;
  let isStarted: boolean;
  let hasAsked: boolean;
  let held: readonly string[];
  const looks = new Map<string, Pick<IndexerStatus, "state" | "healthyAt" | "error">>();

  beforeEach(async () => {
    isStarted = true;
    hasAsked = true;
    held = ["indexer/alpha", "indexer/beta"];
    for (const chain of ["alpha", "beta"]) looks.set(chain, { state: "running", healthyAt: 1, error: undefined });
    const checks = startupChecks({
      isStarted: () => isStarted,
      leases: { hasAsked: () => hasAsked, held: () => held.map((name) => ({ name, term: 1n })) },
      indexers: {
        all: () =>
          [...looks].map(([chain, look]) => ({
            ...{
              start: () => undefined,
              stop: async () => undefined,
              wake: () => undefined,
              readAgain: () => undefined,
            },
            reindex: async () => undefined,
            status: () => ({ ...unknown, chain, ...look }),
          })),
      },
    });
    app = await createHttpServer({ log, title: "t", version: "1", description: "d" });
    await createHealthRoutes(() => [{ name: "ill", check: async () => "ill" }], checks)(app);
  });
  afterEach(() => app.close());

  const ask = async () => {
    const response = await app.inject("/health/startup");
    const { status, checks } = response.json<{ status: string; checks: { reason?: string }[] }>();
    return [response.statusCode, status, ...checks.flatMap(({ reason }) => reason ?? [])];
  };

  it("is over once all parts are started, leases were asked for and every chain was looked at", async () => {
    isStarted = false;
    hasAsked = false;
    looks.set("alpha", { state: "running", healthyAt: undefined, error: undefined });
    assert.deepEqual(await ask(), [
      ...[503, "starting", "not every part was started yet", "no leases were asked for yet"],
      "not looked at yet: alpha",
    ]);
    isStarted = true;
    hasAsked = true;
    assert.deepEqual(await ask(), [503, "starting", "not looked at yet: alpha"]);
    // Its lease is won, and the work that goes by it is about to begin.
    looks.set("alpha", { state: "stopped", healthyAt: undefined, error: undefined });
    assert.deepEqual(await ask(), [503, "starting", "not looked at yet: alpha"]);
    looks.set("alpha", { state: "running", healthyAt: 1, error: undefined });
    assert.deepEqual(await ask(), [200, "started"]);
  });

  it("does not wait for a chain that does not answer, nor for one that another process reads", async () => {
    const error = new LockstepError("chain-unreachable", "no answer");
    looks.set("alpha", { state: "running", healthyAt: undefined, error });
    looks.set("beta", { state: "stopped", healthyAt: undefined, error: undefined });
    held = ["indexer/alpha"];
    assert.deepEqual(await ask(), [200, "started"]);
  });

  it("stays over, whatever becomes of the process", async () => {
    assert.deepEqual(await ask(), [200, "started"]);
    hasAsked = false;
    assert.deepEqual(await ask(), [200, "started"]);
    assert.equal((await app.inject("/health/ready")).statusCode, 503);
  });
});
