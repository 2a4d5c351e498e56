import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { anyHome, shareNetwork, type TestNetwork } from "#test/support/network.ts";
import { type SwapAnswer, swapRequest } from "./requests.ts";

type Halt = { id: string; reason: string };
type Problem = { code: string; detail: string; retryable: boolean; details?: { halt?: string } };

const timeoutMs = 60_000;
const ends = ["completed", "refunded", "failed", "initiatorLost", "counterpartyLost"];

const home = await anyHome();

describe("operators keep locks from being made", () => {
  // Before the network is left, which is done in the order that it was asked for.
  after(async () => {
    for (const { id } of (await test.api.get<{ halts: Halt[] }>("/v1/halts")).halts)
      await call("DELETE", `/v1/halts/${id}`);
    if (readFileSync(test.network.layout.service, "utf8") !== ordinary) await restart(ordinary);
  });
  const open = shareNetwork(home);
  let test: TestNetwork;
  let ordinary: string;
  before(() => {
    test = open();
    ordinary = readFileSync(test.network.layout.service, "utf8");
  });

  async function call<T>(method: string, path: string, body?: unknown): Promise<{ status: number; body: T }> {
    const response = await fetch(`${test.network.api}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${test.network.token()}`,
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as T };
  }
  async function restart(settings: string): Promise<void> {
    await test.network.service.stop();
    writeFileSync(test.network.layout.service, settings);
    await test.network.service.start();
  }
  const halt = async (scope: object) => (await call<Halt>("PUT", "/v1/halts", { ...scope, reason: "a drill" })).body;
  const lift = (id: string) => call("DELETE", `/v1/halts/${id}`);
  const until = (id: string, done: (swap: SwapAnswer) => boolean) =>
    test.api.until<SwapAnswer>(`/v1/swaps/${id}`, done, timeoutMs);
  const waitsFor = (id: string, code: string) => until(id, ({ reason }) => reason.code === code);
  const reaches = async (id: string, status: string) => {
    const swap = await until(id, (each) => ends.includes(each.status));
    assert.equal(swap.status, status, JSON.stringify(swap, null, 2));
    return swap;
  };
  const happened = ({ timeline }: SwapAnswer) => timeline.map(({ what }) => what);
  /** With time for an operator. */
  const patient = () => ({ ...swapRequest(test.network), timelocks: { source: 240, target: 120 } });

  it("of an account: new swaps are refused by the name of the halt, others go on", async () => {
    const { id } = await halt({ account: "bob" });
    const { status, body } = await call<Problem>("POST", "/v1/swaps", swapRequest(test.network));
    assert.deepEqual([status, body.code, body.retryable, body.details?.halt], [409, "halted", true, id]);
    assert.equal(body.detail, "locking by account bob is halted: a drill");
    const others = {
      ...swapRequest(test.network),
      counterparty: { account: "alice" },
      initiator: { account: "carol" },
    };
    const other = await call<SwapAnswer & Problem>("POST", "/v1/swaps", others);
    assert.equal(other.status, 202, other.body.detail);
    await reaches(other.body.id, "completed");
    await lift(id);
  });

  it("of a swap under way until the halt is lifted, and it completes then", async () => {
    const swap = await test.api.post<SwapAnswer>("/v1/swaps", patient());
    const { id } = await halt({});
    const held = await waitsFor(swap.id, "halted");
    assert.equal(held.reason.message, "locking of everything is halted: a drill");
    assert.equal(held.target.state, "none");
    await test.network.service.stop();
    await test.network.service.start();
    await waitsFor(swap.id, "halted");
    await lift(id);
    await reaches(swap.id, "completed");
  });

  it("until they are approved, where the configuration says so, and refund what they reject", async () => {
    const settings = JSON.parse(ordinary) as { swap: object };
    await restart(JSON.stringify({ ...settings, swap: { ...settings.swap, approval: { mode: "hold" } } }));
    const decide = (id: string, verb: string, body?: object) =>
      call<SwapAnswer & Problem>("POST", `/v1/swaps/${id}/${verb}`, body ?? {});
    const [good, bad, half] = (await Promise.all(
      [1, 2, 3].map(() => test.api.post<SwapAnswer>("/v1/swaps", patient())),
    )) as [SwapAnswer, SwapAnswer, SwapAnswer];
    for (const { id } of [good, bad, half]) await waitsFor(id, "awaiting-approval");

    assert.equal((await decide(good.id, "approve", { reason: "known to us" })).status, 202);
    assert.equal((await decide(bad.id, "reject", { reason: "not known to us" })).status, 202);
    assert.equal((await decide(half.id, "approve", { step: "lock-source" })).status, 202);
    assert.equal((await decide(half.id, "approve", { step: "claim-source" })).body.code, "request-invalid");
    assert.equal((await decide("nothing", "approve")).body.code, "not-found");

    const failed = await reaches(bad.id, "failed");
    assert.deepEqual(
      [failed.reason.code, failed.reason.message],
      ["rejected", "lock-source was rejected by the operator: not known to us"],
    );
    assert.ok(!happened(failed).includes("StepStarted"), "nothing was sent for it");
    await until(half.id, ({ source, reason }) => source.state === "locked" && reason.code === "awaiting-approval");
    assert.equal((await decide(half.id, "reject")).status, 202);
    const refunded = await reaches(half.id, "refunded");
    assert.equal(refunded.target.state, "none");
    assert.ok(
      BigInt(Math.floor(Date.now() / 1_000)) < BigInt(refunded.source.timelock),
      "without waiting for its timelock",
    );

    await reaches(good.id, "completed");
    assert.equal((await decide(good.id, "reject")).body.code, "swap-not-waiting");
    await restart(ordinary);
    await reaches((await test.api.post<SwapAnswer>("/v1/swaps", swapRequest(test.network))).id, "completed");
  });
});
