import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import type { Hex } from "#core/kernel/codec.ts";
import {
  type Harness,
  openHarness,
  openSites,
  type Sites,
  sendDirectly,
  validatorNames,
  type WireMessage,
} from "../../relay/harness.ts";
import { onDatabase } from "../../support/databases.ts";
import { type RpcProxy, startRpcProxy } from "../../support/rpcProxy.ts";
import { until } from "../../support/until.ts";

await onDatabase("a node that hides the logs of a lane for a while, with blocks final at once", (backend) => {
  let sites: Sites;
  let proxy: RpcProxy;
  let h: Harness;
  before(async () => {
    sites = await openSites();
    proxy = await startRpcProxy(sites.alpha.url);
    const behind = { ...sites, alpha: { ...sites.alpha, url: proxy.url } };
    h = await openHarness(backend, behind, { finalityBlocks: 0 });
    await Promise.all(validatorNames.map((name) => h.startValidator(name)));
  });
  after(async () => {
    await h?.close();
    await proxy?.close();
    await Promise.all([sites?.alpha.local.close(), sites?.beta.local.close()]);
  });

  const send = (payload: Hex) => sendDirectly(sites.alpha, sites.beta, sites.beta.contracts.recorder, payload);
  const delivered = (...nonces: string[]) =>
    until(
      async () => {
        const { messages } = (await h.api<{ messages: WireMessage[] }>("GET", "/v1/messages?limit=20")).body;
        const done = messages.filter(({ status }) => status === "delivered").map(({ nonce }) => nonce);
        return nonces.every((nonce) => done.includes(nonce));
      },
      `messages ${nonces.join(", ")} are delivered`,
      20_000,
    );
  /** Hides logs until all blocks are indexed, those of the messages sent meanwhile with them. */
  async function hidden(meanwhile: () => Promise<unknown>) {
    proxy.use(({ method }) => (method === "eth_getLogs" ? Promise.resolve({ result: [] }) : undefined));
    await meanwhile();
    const height = await sites.alpha.local.height();
    await until(() => h.indexers[0]?.status().indexed === height, "the indexer is past the hidden logs");
  }

  it("delivers what was hidden at the lane's start and in its middle once the next message shows it", async () => {
    await hidden(() => send("0x01"));
    proxy.use();
    await send("0x02");
    await delivered("1", "2");
    await hidden(async () => {
      await send("0x03");
      await send("0x04");
    });
    const last = await sites.alpha.local.height();
    let emptied = 0;
    proxy.use(({ method, params }) => {
      const { fromBlock } = (params[0] ?? {}) as { fromBlock?: string };
      if (method !== "eth_getLogs" || BigInt(fromBlock ?? 0) > last || emptied === 3) return undefined;
      emptied += 1;
      return Promise.resolve({ result: [] });
    });
    await send("0x05");
    await delivered("3", "4", "5");
    assert.equal(emptied, 3);
    assert.equal(h.indexers[0]?.status().state, "running");
  });
});
