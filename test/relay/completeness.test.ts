import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import type { Hex } from "#core/kernel/codec.ts";
import { onPostgres } from "../support/databases.ts";
import { type RpcProxy, startRpcProxy } from "../support/rpcProxy.ts";
import { until } from "../support/until.ts";
import {
  type Harness,
  openHarness,
  openSites,
  type Sites,
  sendDirectly,
  validatorNames,
  type WireMessage,
} from "./harness.ts";

await onPostgres("a node that hides newest logs, with blocks final at once and nothing after them", (backend) => {
  let sites: Sites;
  let proxies: RpcProxy[];
  let h: Harness;
  before(async () => {
    sites = await openSites();
    proxies = await Promise.all([sites.alpha, sites.beta].map(({ url }) => startRpcProxy(url)));
    const [alpha, beta] = proxies;
    assert.ok(alpha && beta);
    const behind = { alpha: { ...sites.alpha, url: alpha.url }, beta: { ...sites.beta, url: beta.url } };
    h = await openHarness(backend, behind, { finalityBlocks: 0, recheckMs: 30 });
    await Promise.all(validatorNames.map((name) => h.startValidator(name)));
  });
  after(async () => {
    await h?.close();
    await Promise.all(proxies?.map((proxy) => proxy.close()) ?? []);
    await Promise.all([sites?.alpha.local.close(), sites?.beta.local.close()]);
  });

  const send = (payload: Hex) => sendDirectly(sites.alpha, sites.beta, sites.beta.contracts.recorder, payload);
  const delivered = (payload: Hex) =>
    until(async () => {
      const { messages } = (await h.api<{ messages: WireMessage[] }>("GET", "/v1/messages?limit=20")).body;
      return messages.some((message) => message.payload === payload && message.status === "delivered");
    }, `message ${payload} is delivered`);
  const status = (chain: 0 | 1) => {
    const found = h.indexers[chain]?.status();
    assert.ok(found);
    return found;
  };
  /** The lane and the chain that the trouble names. */
  const trouble = (chain: 0 | 1) =>
    until(() => {
      const { error } = status(chain);
      return error?.code === "logs-missing" && error;
    }, "the indexer says that logs are missing");
  const hide = (chain: 0 | 1) =>
    proxies[chain]?.use(({ method }) => (method === "eth_getLogs" ? Promise.resolve({ result: [] }) : undefined));
  const agreed = (chain: 0 | 1) =>
    until(() => {
      const { error, verified, final } = status(chain);
      return error === undefined && verified !== undefined && verified === final;
    }, "all that is recorded agrees with the gateways");

  it("finds the newest message, names its lane and chain meanwhile, and delivers it", async () => {
    hide(0);
    await send("0x01");
    const { details, message } = await trouble(0);
    assert.deepEqual([details.lane, details.chain], ["alpha→beta", "alpha"]);
    assert.match(message, /has sent 1 .*recorded is 0/);
    // The chain is followed all the same.
    await sites.alpha.local.mine(2);
    const height = await sites.alpha.local.height();
    await until(() => status(0).indexed === height, "the chain is followed");
    assert.equal(status(0).state, "running");
    proxies[0]?.use();
    await delivered("0x01");
    await agreed(0);
  });

  it("finds the outcome of a delivery", async () => {
    hide(1);
    await send("0x02");
    const { details, message } = await trouble(1);
    assert.deepEqual([details.lane, details.chain], ["alpha→beta", "beta"]);
    assert.match(message, /has attempted 2, no outcome is recorded of 2/);
    proxies[1]?.use();
    await delivered("0x02");
    await agreed(1);
    const { messages } = (await h.api<{ messages: WireMessage[] }>("GET", "/v1/messages?limit=20")).body;
    for (const { timeline } of messages) {
      assert.equal(timeline.filter(({ what }) => what === "MessageDelivered").length, 1);
    }
  });

  it("asks for nothing more while nothing happens", async () => {
    await agreed(0);
    await agreed(1);
    const asked = () => proxies.flatMap(({ seen }) => seen).filter(({ method }) => method === "eth_getLogs").length;
    const calls = proxies.flatMap(({ seen }) => seen).length;
    const before = asked();
    await until(() => proxies.flatMap(({ seen }) => seen).length > calls + 60, "the indexers have looked often");
    assert.equal(asked(), before);
  });
});
