import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { ChainAccess } from "#core/chain/chain.ts";
import { createChain } from "#core/chain/createChain.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { quietLog } from "../../support/databases.ts";
import { lyingAboutId } from "../../support/faults.ts";
import { type LocalChain, startLocalChain } from "../../support/localChain.ts";
import { type RpcProxy, startRpcProxy } from "../../support/rpcProxy.ts";
import { until } from "../../support/until.ts";

const chainId = 991_007;
const never = 3_600_000;

describe("waiting for new heads", () => {
  let local: LocalChain;
  let one: RpcProxy;
  let two: RpcProxy;
  before(async () => {
    local = await startLocalChain(chainId);
    [one, two] = await Promise.all([startRpcProxy(local.url), startRpcProxy(local.url)]);
  });
  after(async () => {
    await Promise.all([one, two].map((proxy) => proxy?.close()));
    await local?.close();
  });

  const open = (endpoints: { url: string; webSocket?: string }[], pollMs: number, checkMs = 40) =>
    createChain(
      { name: "alpha", chainId, finality: { blocks: 0 }, endpoints, pollMs },
      { log: quietLog, clock: systemClock, timeoutMs: 500, socketCheckMs: checkMs },
    );
  const both = () => [one, two].map(({ url, webSocket }) => ({ url, webSocket }));
  const sockets = (chain: ChainAccess) => chain.endpoints().map(({ socket }) => socket);
  /** Watches until the work is done; counts wake-ups. */
  async function watching(chain: ChainAccess, work: (count: () => number) => Promise<void>) {
    let wakes = 0;
    const unwatch = chain.watchHeads(() => {
      wakes += 1;
    });
    try {
      await work(() => wakes);
    } finally {
      unwatch();
    }
  }
  const wokenBy = async (count: () => number, cause: () => Promise<unknown>) => {
    const before = count();
    await cause();
    await until(() => count() > before, "it is woken");
  };

  it("is by time where no node tells", async () => {
    const chain = open([{ url: one.url }], 5);
    await watching(chain, async (count) => {
      await until(() => count() > 3, "several wake-ups");
      assert.deepEqual(sockets(chain), [undefined]);
    });
  });

  it("ends at once where a node tells, long before the next poll", async () => {
    const chain = open([{ url: one.url, webSocket: one.webSocket }], never);
    await watching(chain, async (count) => {
      await until(() => sockets(chain)[0] === "live", "the socket is live");
      for (let block = 0; block < 3; block++) await wokenBy(count, () => local.mine());
    });
    await until(() => sockets(chain)[0] === "down", "nobody watches, so the socket is closed");
  });

  it("goes by time while sockets are refused, and by the socket again when they are not", async () => {
    one.sockets("refused");
    const chain = open([{ url: one.url, webSocket: one.webSocket }], 5);
    await watching(chain, async (count) => {
      await until(() => count() > 3, "it is polled");
      assert.deepEqual(sockets(chain), ["down"]);
      one.sockets("open");
      await until(() => sockets(chain)[0] === "live", "the socket is live");
      one.sockets("refused");
      await until(() => sockets(chain)[0] === "down", "the socket's death is noticed");
      const before = count();
      await until(() => count() > before + 3, "it is polled again");
    });
    one.sockets("open");
  });

  for (const how of ["mute", "forgetful"] as const)
    it(`does not trust a socket that is there but ${how}`, async () => {
      const chain = open([{ url: one.url, webSocket: one.webSocket }], 5);
      await watching(chain, async (count) => {
        await until(() => sockets(chain)[0] === "live", "the socket is live");
        one.sockets(how);
        await local.mine();
        await until(() => sockets(chain)[0] === "down", "the silence is noticed");
        const before = count();
        await until(() => count() > before + 3, "it is polled");
        one.sockets("open");
        await until(() => sockets(chain)[0] === "live", "the socket is live again", 10_000);
      });
    });

  it("takes the socket of the next endpoint when the first one's is gone or of another chain", async () => {
    one.sockets("refused");
    const chain = open(both(), never);
    await watching(chain, async (count) => {
      await until(() => sockets(chain)[1] === "live", "the second socket is live");
      await wokenBy(count, () => local.mine());
    });
    one.sockets("open");

    one.use(lyingAboutId(4));
    const other = open(both(), never);
    await other.block("latest");
    await watching(other, async (count) => {
      await until(() => sockets(other)[1] === "live", "the second socket is live");
      assert.equal(sockets(other)[0], "down");
      await wokenBy(count, () => local.mine());
    });
    one.use();
  });
});
