import assert from "node:assert/strict";
import { it } from "node:test";
import { keccak256, numberToHex, toHex, zeroHash } from "viem";
import { createIndexer } from "#core/indexer/createIndexer.ts";
import { systemClock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { type OpenDatabase, onDatabase, quietLog, withDatabase } from "../../support/databases.ts";
import { type RpcProxy, startRpcProxy } from "../../support/rpcProxy.ts";
import { until } from "../../support/until.ts";
import { address } from "./modelChain.ts";
import { accessTo, createHistory, openIndexed } from "./support.ts";

const chainId = 4_711;

type WireBlock = { number: Hex; hash: Hex; parentHash: Hex; timestamp: Hex };

/** A node whose chain, and whatever it says of its tags, is as told. Blocks have no logs. */
async function startNode() {
  const blocks: WireBlock[] = [];
  let tagged: WireBlock | null = null;
  let latest: number | undefined;
  const grow = (count: number, branch = "a") => {
    for (let n = 0; n < count; n++) {
      const parentHash = blocks.at(-1)?.hash ?? zeroHash;
      const number = numberToHex(blocks.length);
      blocks.push({ number, hash: keccak256(toHex(`${number}${parentHash}${branch}`)), parentHash, timestamp: number });
    }
  };
  const head = () => blocks[latest ?? blocks.length - 1] ?? null;
  const answer = (method: string, [at]: readonly unknown[]) => {
    if (method === "eth_chainId") return numberToHex(chainId);
    if (method === "eth_getLogs") return [];
    if (at === "latest") return head();
    if (at === "safe" || at === "finalized") return tagged;
    return blocks[Number(at)] ?? null;
  };
  const proxy: RpcProxy = await startRpcProxy("http://127.0.0.1:1", ({ method, params }) =>
    Promise.resolve({ result: answer(method, params) }),
  );
  return {
    proxy,
    grow,
    fork(depth: number, count: number) {
      blocks.length -= depth;
      grow(count, "b");
    },
    height: () => BigInt(blocks.length - 1),
    tag(number: number | null, foreign = false) {
      const block = number === null ? null : (blocks[number] ?? null);
      tagged = block && foreign ? { ...block, hash: keccak256(block.hash) } : block;
    },
    /** The node falls back to an earlier head; undefined: its newest. */
    lag(number?: number) {
      latest = number;
    },
  };
}

await onDatabase("finality", (backend) => {
  type Node = Awaited<ReturnType<typeof startNode>>;
  type Finality = Parameters<typeof accessTo>[2];
  type Scene = { node: Node; indexed(): Promise<void>; final(height: bigint): Promise<void>; looks(): Promise<void> };

  async function play(database: OpenDatabase, finality: Finality, run: (scene: Scene) => Promise<void>) {
    const node = await startNode();
    node.grow(11);
    const history = createHistory(() => [address]);
    const indexer = createIndexer({
      ...{ chain: accessTo(node.proxy.url, chainId, finality), db: database.db, observers: [history] },
      ...{ config: { pollMs: 1, startBlock: 0, logWindow: 100, recheckMs: 5 }, log: quietLog, clock: systemClock },
    });
    indexer.start();
    try {
      await run({
        node,
        indexed: async () => {
          await until(() => indexer.status().indexed === node.height() && indexer.status().error === undefined);
        },
        final: async (height) => {
          await until(() => indexer.status().final === height, `block ${height} is final`);
        },
        /** Several looks at the head later. */
        looks: async () => {
          const asked = node.proxy.seen.length;
          await until(() => node.proxy.seen.length > asked + 12);
        },
      });
      assert.equal(indexer.status().state, "running");
      assert.deepEqual(history.violations, []);
    } finally {
      await indexer.stop();
      await node.proxy.close();
    }
  }
  const scene = (name: string, finality: Finality, run: (scene: Scene) => Promise<void>) =>
    it(name, () => openAndPlay(finality, run));
  const openAndPlay = (finality: Finality, run: (scene: Scene) => Promise<void>) =>
    withDatabase({ name: backend.name, open: () => openIndexed(backend) }, (database) => play(database, finality, run));

  for (const tag of ["safe", "finalized"] as const) {
    scene(`by the tag ${tag} comes late, never falls, and holds nothing else up while it stalls`, tag, async (s) => {
      await s.indexed();
      await s.final(-1n);
      s.node.tag(3);
      await s.final(3n);
      s.node.tag(2);
      await s.looks();
      await s.final(3n);
      s.node.tag(null);
      s.node.grow(40);
      await s.indexed();
      await s.final(3n);
      // It stalls: what is above it may still be replaced, however deep.
      s.node.tag(3);
      s.node.fork(40, 45);
      await s.indexed();
      await s.final(3n);
      // A block that is not the one recorded there makes nothing final.
      s.node.tag(50, true);
      await s.looks();
      await s.final(3n);
      s.node.tag(50);
      await s.final(50n);
      s.node.tag(Number(s.node.height()));
      await s.final(s.node.height());
    });
  }

  scene(
    "by a number of blocks follows the head, and does not fall with a node that is behind",
    { blocks: 4 },
    async (s) => {
      await s.indexed();
      await s.final(6n);
      s.node.lag(7);
      await s.looks();
      await s.final(6n);
      s.node.lag();
      s.node.fork(4, 6);
      await s.indexed();
      await s.final(8n);
    },
  );

  scene("with 0 blocks is at once", { blocks: 0 }, async (s) => {
    await s.final(10n);
    s.node.grow(1);
    await s.final(11n);
  });
});
