import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import type { MessageAnswer } from "#app/demo/api.ts";
import { checkBalances } from "#app/demo/balances.ts";
import { scenarios } from "#app/demo/swaps.ts";
import { type Member, startMember } from "#test/support/fleet.ts";
import { forEachHome, shareNetwork, type TestNetwork } from "#test/support/network.ts";
import { until } from "#test/support/until.ts";
import { chainFacts } from "./chainFacts.ts";
import { assertOnce } from "./lockFacts.ts";
import { messageRequest, type SwapAnswer, swapRequest } from "./requests.ts";

type Instance = { id: string; name: string; state: string; leases: { name: string; term: string }[] };
type Lease = { name: string; holder?: string; term: string };

const timeoutMs = 90_000;
const leaseMs = 1_000;

await forEachHome("a fleet", (home) => {
  if (home.name === "the embedded database") return;
  const open = shareNetwork(home);
  let test: TestNetwork;
  let second: Member;

  before(async () => {
    test = open();
    second = await startMember(test, "second");
  });
  after(() => second?.stop());

  const instances = async () => (await test.api.get<{ instances: Instance[] }>("/v1/instances")).instances;
  const named = async (name: string) =>
    (await instances()).find((each) => each.name === name && each.state !== "stopped");
  const leases = async () => (await test.api.get<{ leases: Lease[] }>("/v1/leases")).leases;

  /** Under way at both processes; `during` happens to them meanwhile. All are to end as if nothing had happened. */
  async function carriesOn(during: () => Promise<void>): Promise<void> {
    const { network, ledger, api } = test;
    const before = await ledger.holdings(["alice", "bob"]);
    const recorded = chainFacts(network, "beta").recorded;
    const recordedBefore = await recorded();
    const swaps = await Promise.all(
      [api, second.api, api, second.api].map((each) => each.post<SwapAnswer>("/v1/swaps", swapRequest(network))),
    );
    const messages = await Promise.all(
      [api, second.api, api].map((each) => each.post<MessageAnswer>("/v1/messages", messageRequest(network))),
    );
    await during();
    for (const { id } of messages) {
      const over = ({ status }: MessageAnswer) => ["delivered", "failed", "dropped"].includes(status);
      const { status } = await api.until<MessageAnswer>(`/v1/messages/${id}`, over, timeoutMs);
      assert.equal(status, "delivered");
    }
    assert.equal(await recorded(), recordedBefore + BigInt(messages.length));
    const ended: SwapAnswer[] = [];
    for (const { id } of swaps) {
      const over = ({ status }: SwapAnswer) => ["completed", "refunded", "failed"].includes(status);
      const swap = await api.until<SwapAnswer>(`/v1/swaps/${id}`, over, timeoutMs);
      assert.equal(swap.status, "completed", JSON.stringify(swap, null, 2));
      ended.push(swap);
    }
    await assertOnce(network, ended);
    const all = Array.from({ length: swaps.length }, () => scenarios[0]!);
    assert.deepEqual(checkBalances(before, await ledger.holdings(["alice", "bob"]), all), []);
  }

  it("shares what one process at a time does, and tells who does what", async () => {
    await until(async () => ((await named("second"))?.leases.length ?? 0) >= 5, "the second has its share");
    const [all, found] = await Promise.all([leases(), instances()]);
    const working = found.filter(({ state }) => state === "working");
    assert.equal(working.length, 2);
    const names = working.flatMap((each) => each.leases.map(({ name }) => name));
    assert.equal(new Set(names).size, names.length, "nobody shares one");
    for (const name of ["indexer/alpha", "indexer/beta", "outbox", "due/swaps", "lane/alpha→beta"]) {
      assert.ok(
        all.some((each) => each.name === name && each.holder !== undefined),
        name,
      );
    }
    for (const each of [test.api, second.api]) {
      // A process tells the others now and then how far it is.
      await until(async () => {
        const { chains } = await each.get<{ chains: { indexer: string; indexed: string }[] }>("/v1/chains");
        return chains.length === 2 && chains.every(({ indexer }) => indexer === "running");
      }, "both chains are read");
    }
  });

  it("carries on when one of two is killed", async () => {
    await carriesOn(() => second.kill());
    await until(async () => (await named("second"))?.state === "silent", "it counts as silent");
    second = await startMember(test, "second");
    await carriesOn(async () => undefined);
  });

  it("carries on when one of two is paused, and when that one wakes up again", async () => {
    await carriesOn(async () => {
      second.pause();
      const holds = async () => (await leases()).some(({ holder }) => holder === undefined);
      await until(async () => (await named("second"))?.state === "silent", "it counts as silent");
      await until(async () => !(await holds()), "all is taken over");
    });
    second.goOn();
    await until(async () => ((await named("second"))?.leases.length ?? 0) >= 5, "the second has its share again");
    await carriesOn(async () => undefined);
  });

  it("takes over within two of the times that a lease lasts", async () => {
    await until(async () => ((await named("second"))?.leases.length ?? 0) >= 5, "the second has its share");
    const held = (await named("second"))?.leases.map(({ name }) => name) ?? [];
    const began = Date.now();
    second.pause();
    await until(async () => {
      const mine = (await named("service")) ?? (await instances()).find(({ state }) => state === "working");
      return held.every((name) => mine?.leases.some((lease) => lease.name === name));
    }, "the first has all of it");
    const tookMs = Date.now() - began;
    second.goOn();
    // What a busy machine adds is no fault of ours.
    assert.ok(tookMs < 2 * leaseMs + 2_000, `${tookMs} ms`);
  });

  it("drains a process without a failed request", async () => {
    await until(async () => (await named("second"))?.state === "working");
    const id = (await named("second"))?.id;
    const asked = await test.api.post<Instance>(`/v1/instances/${id}/drain`, {});
    assert.equal(asked.state, "draining");
    await until(async () => (await fetch(`${second.url}/health/ready`)).status === 503, "it says that it is not ready");
    await until(async () => (await named("second"))?.leases.length === 0, "it has given all up");
    await carriesOn(async () => undefined);
    assert.equal(await second.stop(), 0);
    second = await startMember(test, "second", { drainSeconds: 1 });
  });

  it("is restarted one by one without a failed request", async () => {
    const failures: unknown[] = [];
    let requests = 0;
    let over = false;
    // As a load balancer does it: who is ready is asked now and then, and gets the requests.
    let ready: string[] = [];
    const urls = [test.network.api, second.url];
    const look = async () => {
      const fits = async (url: string) =>
        (await fetch(`${url}/health/ready`).catch(() => undefined))?.ok ? [url] : [];
      ready = (await Promise.all(urls.map(fits))).flat();
    };
    await look();
    const looking = (async () => {
      while (!over) {
        await look();
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    })();
    const asking = Array.from({ length: 4 }, async (_, at) => {
      while (!over) {
        const url = ready[(requests++ + at) % ready.length] ?? test.network.api;
        try {
          const answer = await fetch(`${url}/v1/swaps?limit=5`);
          if (!answer.ok) failures.push(`${url}: ${answer.status}`);
          await answer.text();
        } catch (error) {
          failures.push(error);
        }
      }
    });
    const { port } = new URL(second.url);
    try {
      assert.equal(await second.stop(), 0);
      second = await startMember(test, "second", { port: Number(port) });
      await until(() => ready.length === 2, "both are ready again");
    } finally {
      over = true;
      await Promise.all([looking, ...asking]);
    }
    assert.deepEqual(failures, []);
    assert.ok(requests > 100, `${requests} requests`);
  });
});
