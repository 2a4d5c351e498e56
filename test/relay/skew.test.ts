import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import type { Hex } from "viem";
import { type Clock, systemClock } from "#core/kernel/clock.ts";
import { onDatabase } from "../support/databases.ts";
import { until } from "../support/until.ts";
import { type Harness, openHarness, openSites, type Sites, sendDirectly, type WireMessage } from "./harness.ts";

const skewMs = 30_000;

/** A clock that can be put forward and back while it runs. */
function skewedClock(): Clock & { skew: number } {
  const clock = { skew: 0, now: () => systemClock.now() + clock.skew, sleep: systemClock.sleep };
  return clock;
}

await onDatabase("clocks that are 30 seconds off", (backend) => {
  const clocks = { service: skewedClock(), one: skewedClock(), two: skewedClock(), three: skewedClock() };
  let sites: Sites;
  let h: Harness;
  before(async () => {
    sites = await openSites();
    set({ service: 1, one: -1, two: 1, three: -1 });
    h = await openHarness(backend, sites, { clock: clocks.service });
    for (const name of ["one", "two", "three"] as const) await h.startValidator(name, { clock: clocks[name] });
  });
  after(async () => {
    await h?.close();
    await Promise.all([sites?.alpha.local.close(), sites?.beta.local.close()]);
  });

  function set(signs: Record<keyof typeof clocks, -1 | 0 | 1>): void {
    for (const [name, sign] of Object.entries(signs)) clocks[name as keyof typeof clocks].skew = sign * skewMs;
  }

  async function carries(payloads: readonly Hex[]): Promise<void> {
    const recipient = sites.beta.contracts.recorder;
    const [first, ...others] = payloads;
    const request = { origin: "alpha", destination: "beta", recipient, payload: first };
    const { body } = await h.api<{ id: string }>("POST", "/v1/messages", request);
    for (const payload of others) await sendDirectly(sites.alpha, sites.beta, recipient, payload);
    await h.reaches(body.id, "delivered");
    await until(async () => {
      const { messages } = (await h.api<{ messages: WireMessage[] }>("GET", "/v1/messages?limit=50")).body;
      return others.every((one) => messages.some(({ payload, status }) => payload === one && status === "delivered"));
    }, "all are delivered");
    const logs = await h.chains.beta.logs({
      ...{ fromBlock: 0n, toBlock: await sites.beta.local.height() },
      addresses: [recipient],
    });
    for (const payload of payloads) {
      assert.equal(logs.filter(({ data }) => data.includes(payload.slice(2))).length, 1, payload);
    }
  }

  it("carry messages when the service is ahead and validators are behind", () => carries(["0xc001", "0xc002"]));

  it("carry messages when the service is put back and validators forward", () => {
    set({ service: -1, one: 1, two: -1, three: 1 });
    return carries(["0xc003", "0xc004"]);
  });

  it("carry messages when all are put right", () => {
    set({ service: 0, one: 0, two: 0, three: 0 });
    return carries(["0xc005", "0xc006"]);
  });
});
