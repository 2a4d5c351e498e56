import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { before, describe, it } from "node:test";
import type { Hex } from "#core/kernel/codec.ts";
import { anyHome, shareNetwork, type TestNetwork } from "#test/support/network.ts";
import { until as untilTrue } from "#test/support/until.ts";
import { assertOnce } from "./lockFacts.ts";
import { type Market, openMarket } from "./market.ts";
import { createOutsider, type ExternalSwap } from "./outsider.ts";
import { placesOf } from "./searching.ts";

const timeoutMs = 60_000;
/** Nothing here comes near a deadline, however often the service has to start. */
const timelocks = { source: 1_200, target: 900 };
const members = 6;
/** Seconds for the service to start in, besides those that a local network has. */
const roomSeconds = 30;

const home = await anyHome();

describe("a swap whose service is killed again and again", () => {
  const open = shareNetwork(home);
  let test: TestNetwork;
  let market: Market;
  before(async () => {
    test = open();
    market = await openMarket(test);
  });

  const bob = (): Hex => test.network.accounts.bob?.address ?? "0x";
  const isOver = ({ status }: ExternalSwap) => ["completed", "refunded"].includes(status);
  const until = (id: string, done: (swap: ExternalSwap) => boolean) =>
    test.api.until<ExternalSwap>(`/v1/swaps/${id}`, done, timeoutMs);

  /** Starts the service so that it dies at the mark, which may be before it is ready, and waits for that. */
  async function diesAt(mark: string, act: () => Promise<unknown> = async () => undefined): Promise<void> {
    const { service } = test.network;
    try {
      await service.start({ LOCKSTEP_CRASH_AT: mark });
    } catch (error) {
      assert.match(String(error), /ended while starting \(SIGKILL\)/, mark);
      return;
    }
    let how: string | undefined;
    void service.ended().then((signal) => {
      how = signal ?? "an exit";
    });
    await act();
    assert.equal(await untilTrue(() => how, `the service dies at ${mark}`, timeoutMs), "SIGKILL");
  }

  /** What is asked of a service that dies before it answers was written down all the same. */
  const handIn = (swap: ExternalSwap, path: string, body: object) =>
    test.api.post(`/v1/swaps/${swap.id}/${path}`, body).catch(() => undefined);

  it("completes once with an initiator outside, whose secret is to be found nowhere before its claim is sent", async () => {
    const eve = createOutsider(test);
    const source = await market.leg("alpha", "erc20", eve.address);
    const target = await market.leg("beta", "erc721", bob());
    const parties = { initiator: eve.party, hashlock: eve.hashlock, counterparty: { account: "bob" } };
    const swap = await test.api.post<ExternalSwap>("/v1/swaps", { source, target, ...parties, timelocks });
    const sign = async (kind: string) => ({ leg: "source", kind, signature: await eve.sign(swap, kind) });
    await test.network.service.stop();
    await diesAt("signed/swap.approve-source", async () => {
      await handIn(swap, "signatures", await sign("permit"));
      await handIn(swap, "signatures", await sign("lock"));
    });
    for (const mark of ["signed/swap.lock-source", "broadcast/swap.lock-source"]) await diesAt(mark);
    for (const mark of ["signed/swap.lock-target", "broadcast/swap.lock-target"]) await diesAt(mark);
    await diesAt("signed/swap.claim-target", async () => {
      await until(swap.id, ({ next }) => next?.action === "claim-target");
      await handIn(swap, "claim", { secret: eve.secret });
    });
    assert.deepEqual(await placesOf(eve.secret, test), []);
    for (const point of ["revealing", "released"]) {
      await diesAt(`${point}/swap.claim-target`);
      assert.deepEqual(await placesOf(eve.secret, test), []);
    }
    for (const mark of ["broadcast/swap.claim-target", "signed/swap.claim-source", "broadcast/swap.claim-source"])
      await diesAt(mark);
    await test.network.service.start();
    const ended = await until(swap.id, ({ status }) => status === "completed");
    assert.equal(ended.timeline.filter(({ what }) => what === "RevealStarted").length, 1);
    await assertOnce(test.network, [ended]);
    if (test.env.DATABASE_URL)
      assert.ok(
        (await placesOf(eve.secret, test)).some((place) => place.endsWith("events")),
        "it can be found",
      );
  });

  /** With more time from the last reveal to the target's timelock: a slow machine takes long to start the service. */
  async function withRoom(run: () => Promise<void>): Promise<void> {
    const { service, layout } = test.network;
    const before = readFileSync(layout.service, "utf8");
    const config = JSON.parse(before);
    config.chains.beta.skewSeconds += roomSeconds;
    const startWith = async (text: string) => {
      await service.stop();
      writeFileSync(layout.service, text);
      await service.start();
    };
    await startWith(JSON.stringify(config));
    try {
      await run();
    } finally {
      await startWith(before);
    }
  }

  const lateTitle = "shows a secret after its time only if it had set out to, and gives the others back early and once";
  it(lateTitle, () => withRoom(showLate));
  async function showLate(): Promise<void> {
    const eve = createOutsider(test);
    await eve.fund("alpha");
    const [source, target] = [
      await market.leg("alpha", "native", eve.address),
      await market.leg("beta", "native", bob()),
    ];
    const body = {
      source,
      target,
      timelocks: { source: 900, target: 26 + roomSeconds },
      counterparty: { account: "bob" },
    };
    const outside = { ...body, initiator: eve.party, hashlock: eve.hashlock };
    const late = await test.api.post<ExternalSwap>("/v1/swaps", outside);
    await test.network.service.stop();
    const begun: ExternalSwap[] = [];
    await diesAt("released/swap.claim-target", async () => {
      const ask = () => test.api.post<ExternalSwap>("/v1/swaps", { ...body, initiator: { account: "alice" } });
      begun.push(...(await Promise.all([ask(), ask()])));
    });
    await eve.send(late);
    const revealBy = Math.max(...begun.map(({ deadlines }) => Number(deadlines.revealBy)));
    // It takes the service some seconds to start: then it is too late to reveal, and still time for what was let go.
    await untilTrue(() => Date.now() / 1000 > revealBy - 2, "it will be too late to reveal", timeoutMs);
    for (const point of ["agreed", "signed", "broadcast"]) await diesAt(`${point}/swap.refund-early-source`);
    await test.network.service.start();
    const ended = await Promise.all([late, ...begun].map(({ id }) => until(id, isOver)));
    await assertOnce(test.network, ended);
    const has = (swap: ExternalSwap, event: string) => swap.timeline.some(({ what }) => what === event);
    const shown = (swap: ExternalSwap) => has(swap, "RevealStarted") && !has(swap, "RevealWithdrawn");
    for (const swap of ended) assert.equal(swap.status, shown(swap) ? "completed" : "refunded", JSON.stringify(swap));
    assert.ok(ended.some(shown), "what was let go before the kill");
    assert.ok(
      ended.every(({ source }) => Date.now() / 1000 < Number(source.timelock)),
      "long before the timelock",
    );
  }

  it("completes once with others whose steps go together", async () => {
    const people = Array.from({ length: members }, () => createOutsider(test));
    const swaps: ExternalSwap[] = [];
    for (const eve of people) {
      for (const chain of ["alpha", "beta"]) await eve.fund(chain);
      const source = await market.leg("alpha", "native", eve.address);
      const target = await market.leg("beta", "erc20", bob());
      const parties = { initiator: eve.party, hashlock: eve.hashlock, counterparty: { account: "bob" } };
      swaps.push(await test.api.post<ExternalSwap>("/v1/swaps", { source, target, ...parties, timelocks }));
    }
    const send = (from: readonly ExternalSwap[], options = {}) =>
      Promise.all(people.map((eve, index) => eve.send(from[index] ?? assert.fail(), options)));
    await test.network.service.stop();
    // What they do while the service is away it sees all at once.
    await send(swaps);
    for (const point of ["signed", "broadcast"]) await diesAt(`${point}/swap.lock-target-batch`);
    await test.network.service.start();
    const locked = await Promise.all(swaps.map(({ id }) => until(id, ({ next }) => next?.action === "claim-target")));
    await test.network.service.stop();
    await send(locked, { withSecret: true });
    for (const point of ["signed", "broadcast"]) await diesAt(`${point}/swap.claim-source-batch`);
    await test.network.service.start();
    const ended = await Promise.all(swaps.map(({ id }) => until(id, ({ status }) => status === "completed")));
    await assertOnce(test.network, ended);
  });
});
