import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { afterEach, it } from "node:test";
import websocket from "@fastify/websocket";
import fastify from "fastify";
import { numberToHex } from "viem";
import { createHeadSocket } from "#core/chain/headSocket.ts";
import { type Clock, systemClock } from "#core/kernel/clock.ts";
import { until } from "../../support/until.ts";

const chainId = 991_008;
const minute = 60_000;

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** A node that forgets each subscription with the first block after five minutes, as those of Hardhat do. */
async function startForgetfulNode(clock: Clock) {
  const subscriptions = new Map<string, { readonly since: number; tell(height: number): void }>();
  let height = 0;
  let asked = 0;
  const app = fastify();
  open.push(() => app.close());
  await app.register(websocket);
  app.get("/", { websocket: true }, (socket) => {
    const subscribe = (): string => {
      const id = numberToHex(asked);
      const news = (block: number) => ({ subscription: id, result: { number: numberToHex(block) } });
      const tell = (block: number) => socket.send(JSON.stringify({ method: "eth_subscription", params: news(block) }));
      subscriptions.set(id, { since: clock.now(), tell });
      return id;
    };
    const results: Readonly<Record<string, (param: string) => unknown>> = {
      eth_chainId: () => numberToHex(chainId),
      eth_subscribe: subscribe,
      eth_unsubscribe: (id) => subscriptions.delete(id),
      eth_blockNumber: () => numberToHex(height),
    };
    socket.on("message", (data) => {
      const { id, method, params } = JSON.parse(String(data));
      asked += 1;
      socket.send(JSON.stringify({ id, result: results[method]?.(params[0]) }));
    });
  });
  await app.listen({ port: 0, host: "127.0.0.1" });
  return {
    url: `ws://127.0.0.1:${(app.server.address() as AddressInfo).port}`,
    subscriptions,
    asked: () => asked,
    mine() {
      height += 1;
      for (const { tell } of subscriptions.values()) tell(height);
      for (const [id, { since }] of subscriptions) if (clock.now() - since > 5 * minute) subscriptions.delete(id);
      return BigInt(height);
    },
  };
}

it("a socket goes on telling where the node drops subscriptions of a certain age", async () => {
  let ahead = 0;
  const clock = { ...systemClock, now: () => Date.now() + ahead };
  const node = await startForgetfulNode(clock);
  const heads: bigint[] = [];
  const ends: string[] = [];
  let live = false;
  const socket = createHeadSocket({
    ...{ url: node.url, chainId, clock, timeoutMs: 5_000, checkMs: 20 },
    onLive: () => {
      live = true;
    },
    onHead: (height) => heads.push(height),
    onEnd: (reason) => ends.push(reason),
  });
  open.push(socket.close);
  await until(() => live, "the socket is live");
  for (let round = 0; round < 8; round++) {
    ahead += 1.5 * minute;
    const before = node.asked();
    await until(() => node.asked() > before + 3, "it has looked after the node");
    const mined = node.mine();
    await until(() => heads.at(-1) === mined || ends.length > 0, "it tells of the block");
    assert.deepEqual(ends, [], `after ${(round + 1) * 1.5} minutes`);
  }
  assert.ok(node.subscriptions.size <= 2, "those before are given up");
});
