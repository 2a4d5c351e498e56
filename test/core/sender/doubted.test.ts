import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { createSameChain } from "#core/chain/sameChain.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { onDatabase } from "../../support/databases.ts";
import { type LocalChain, startLocalChain } from "../../support/localChain.ts";
import { type RpcProxy, type RpcRule, startRpcProxy } from "../../support/rpcProxy.ts";
import { deployRinger, type Ringer } from "../../support/tinyContracts.ts";
import { until } from "../../support/until.ts";
import { openBench, ringing } from "./support.ts";

const chainId = 991_027;

/** The chain as it is, but for its first block. */
const anotherFirstBlock: RpcRule = ({ method, params }, forward) => {
  if (method !== "eth_getBlockByNumber" || params[0] !== "0x0") return undefined;
  return forward().then((answer) =>
    "result" in answer ? { result: { ...(answer.result as object), hash: `0x${"ab".repeat(32)}` } } : answer,
  );
};

await onDatabase("a chain in doubt", (backend) => {
  let local: LocalChain;
  let proxy: RpcProxy;
  let ringer: Ringer;
  before(async () => {
    local = await startLocalChain(chainId);
    proxy = await startRpcProxy(local.url);
    ringer = await deployRinger(local);
  });
  after(async () => {
    await proxy.close();
    await local.close();
  });

  const sent = () => proxy.seen.filter(({ method }) => method === "eth_sendRawTransaction").length;
  const looks = () =>
    proxy.seen.filter(({ method, params }) => method.endsWith("ByNumber") && params[0] === "0x0").length;

  it("has nothing signed for it, and goes on where it was once it shows its own first block again", async () => {
    const bench = await openBench(backend, { url: proxy.url, chainId });
    try {
      const first = await bench.process();
      await bench.submit(first, [ringing(ringer.address, 1n)]);
      await bench.ended(["ring-1"]);
      await first.stop();
      proxy.use(anotherFirstBlock);
      const before = sent();
      const sender = await bench.process({ sameChain: createSameChain({ clock: systemClock }) });
      await bench.submit(sender, [ringing(ringer.address, 2n)]);
      await until(() => sender.status().some(({ error }) => error?.code === "chain-doubtful"), "it is in doubt");
      const from = looks();
      await until(() => looks() >= from + 3, "it looks again");
      assert.equal(sent(), before);
      assert.deepEqual(await bench.database.db.query("select 1 from sender_attempt where intent = 'ring-2'"), []);
      assert.ok(sender.status().every(({ state }) => state === "running"));
      proxy.use();
      await bench.ended(["ring-2"]);
    } finally {
      proxy.use();
      await bench.close();
    }
  });

  it("has nothing signed for it though the sender's own look was good, as long as another's was not", async () => {
    const bench = await openBench(backend, { url: proxy.url, chainId });
    try {
      let isDoubted = true;
      const refuseDoubted = () => {
        if (isDoubted) throw new LockstepError("chain-doubtful", "another has seen another first block");
      };
      const nothing = async () => undefined;
      const sure = createSameChain({ clock: systemClock });
      const sameChain = { ...sure, assert: nothing, decide: nothing, isDoubted: () => false, refuseDoubted };
      const sender = await bench.process({ sameChain });
      const before = sent();
      await bench.submit(sender, [ringing(ringer.address, 3n)]);
      await until(async () => (await sender.waiting()).get("ring-3")?.code === "signing-failed", "it is not signed");
      assert.equal(sent(), before);
      isDoubted = false;
      await bench.ended(["ring-3"]);
    } finally {
      await bench.close();
    }
  });
});
