import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { numberToHex, zeroHash } from "viem";
import type { ChainAccess } from "#core/chain/chain.ts";
import { createSameChain } from "#core/chain/sameChain.ts";
import { createIndexer, type Indexer } from "#core/indexer/createIndexer.ts";
import { type Clock, systemClock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { type OpenDatabase, onDatabase, quietLog } from "../../support/databases.ts";
import { lyingAboutId } from "../../support/faults.ts";
import { type LocalChain, startLocalChain } from "../../support/localChain.ts";
import { failing, type RpcProxy, startRpcProxy } from "../../support/rpcProxy.ts";
import { deployRinger, type Ringer } from "../../support/tinyContracts.ts";
import { until } from "../../support/until.ts";
import { accessTo, actualWords, createHistory, type History, openIndexed, recordedWords } from "./support.ts";

const chainId = 991_011;

await onDatabase("the indexer", (backend) => {
  let local: LocalChain;
  let proxy: RpcProxy;
  let ringer: Ringer;
  let database: OpenDatabase;
  let clean: string;
  const running: Indexer[] = [];
  const histories: History[] = [];

  before(async () => {
    local = await startLocalChain(chainId);
    proxy = await startRpcProxy(local.url);
    ringer = await deployRinger(local);
  });
  after(async () => {
    await proxy.close();
    await local.close();
  });

  /** Every case starts on the same chain and an empty database. */
  const scene = (name: string, run: () => Promise<void>) =>
    it(name, async () => {
      database = await openIndexed(backend);
      clean = await local.snapshot();
      try {
        await run();
        assert.deepEqual(
          histories.splice(0).flatMap((history) => history.violations),
          [],
        );
      } finally {
        await Promise.all(running.splice(0).map((indexer) => indexer.stop()));
        await database.close();
        proxy.use();
        await local.revert(clean);
      }
    });

  const start = (
    history: History,
    options: {
      readonly blocks?: number;
      readonly chain?: ChainAccess;
      readonly logWindow?: number;
      readonly startBlock?: number;
      readonly recheckMs?: number;
      readonly clock?: Clock;
    } = {},
  ) => {
    const chain = options.chain ?? accessTo(proxy.url, chainId, { blocks: options.blocks ?? 6 });
    const { startBlock = 0, logWindow = 2_000, recheckMs = 60_000 } = options;
    const config = { pollMs: 5, startBlock, logWindow, recheckMs };
    const db = database.another();
    const { clock = systemClock } = options;
    const sameChain = createSameChain({ clock, confirm: { looks: 3, ms: 0 } });
    const indexer = createIndexer({ chain, config, db, observers: [history], log: quietLog, clock, sameChain });
    running.push(indexer);
    indexer.start();
    return indexer;
  };

  const caughtUp = async (indexer: Indexer) => {
    const height = await local.height();
    await until(
      () => indexer.status().indexed === height && indexer.status().head === height,
      "the indexer is at head",
    );
  };
  const halted = (indexer: Indexer) => until(() => indexer.status().state === "halted", "the indexer halts");
  const chainSays = () => actualWords(accessTo(local.url, chainId, { blocks: 0 }), ringer.address);
  const mine = () => {
    const history = createHistory(() => [ringer.address]);
    histories.push(history);
    return history;
  };

  scene("tells logs, and what is final, once each and in order", async () => {
    const history = mine();
    const indexer = start(history);
    for (let word = 1n; word <= 10n; word++) await ringer.ring(word);
    await caughtUp(indexer);
    assert.deepEqual(await recordedWords(database), await chainSays());
    assert.equal((await recordedWords(database)).length, 10);
    const height = await local.height();
    await until(() => indexer.status().final === height - 6n, "finality follows");
    assert.equal(
      history.calls.findLast((call) => call.startsWith("finalized")),
      `finalized ${height - 6n}`,
    );
  });

  scene("goes on from its checkpoint after a restart, and catches up in windows", async () => {
    const first = start(mine(), { blocks: 0 });
    await ringer.ring(1n);
    await caughtUp(first);
    await first.stop();
    for (let word = 2n; word <= 5n; word++) {
      await ringer.ring(word);
      await local.mine(30);
    }
    const history = mine();
    const second = start(history, { blocks: 0, logWindow: 7 });
    await caughtUp(second);
    assert.equal(history.calls.filter((call) => call.startsWith("included")).length, 4);
    assert.deepEqual(await recordedWords(database), await chainSays());
  });

  scene("starts at its start block", async () => {
    await ringer.ring(1n);
    const indexer = start(mine(), { startBlock: Number(await local.height()) + 1 });
    await ringer.ring(2n);
    await caughtUp(indexer);
    assert.deepEqual(await recordedWords(database), (await chainSays()).slice(-1));
  });

  for (const depth of [1, 2, 3, 4, 5]) {
    scene(`follows a reorganisation of ${depth} blocks`, async () => {
      const history = mine();
      const indexer = start(history);
      await local.mine(8);
      const ancestor = await local.height();
      const fork = await local.snapshot();
      for (let word = 1; word <= depth; word++) await ringer.ring(BigInt(word));
      await caughtUp(indexer);
      await local.revert(fork);
      for (let word = 1; word <= depth + 1; word++) await ringer.ring(BigInt(100 + word));
      await caughtUp(indexer);
      assert.ok(history.calls.includes(`reorged ${ancestor}`), history.calls.join(", "));
      assert.deepEqual(await recordedWords(database), await chainSays());
    });
  }

  scene("halts when a final block is gone, and leaves what it has", async () => {
    const indexer = start(mine(), { blocks: 2 });
    const fork = await local.snapshot();
    for (let word = 1n; word <= 5n; word++) await ringer.ring(word);
    await caughtUp(indexer);
    const said = await recordedWords(database);
    await local.revert(fork);
    await local.mine(9);
    await halted(indexer);
    assert.equal(indexer.status().error?.code, "reorg-too-deep");
    assert.deepEqual(await recordedWords(database), said);
    const again = start(mine(), { blocks: 2 });
    await halted(again);
    assert.equal(again.status().error?.code, "reorg-too-deep");
  });

  scene("does not halt for a few looks at another final block, and goes on from where it was", async () => {
    const indexer = start(mine(), { blocks: 2 });
    await ringer.ring(1n);
    await local.mine(4);
    await caughtUp(indexer);
    let looks = 0;
    proxy.use(async (request, forward) => {
      if (request.method !== "eth_getBlockByNumber" || looks >= 2) return forward();
      const answer = await forward();
      if ("error" in answer || answer.result === null) return answer;
      if (request.params[0] !== "latest") return answer;
      looks += 1;
      const { number } = answer.result as { number: Hex };
      // The last block that is recorded and final, as this endpoint shows it.
      return {
        result: { ...answer.result, number: numberToHex(BigInt(number) - 3n), hash: zeroHash, parentHash: zeroHash },
      };
    });
    await until(() => indexer.status().error?.code === "chain-doubtful", "it doubts");
    assert.equal(indexer.status().state, "running");
    await ringer.ring(2n);
    await caughtUp(indexer);
    assert.equal(indexer.status().error, undefined);
    assert.deepEqual(await recordedWords(database), await chainSays());
  });

  scene("halts before it acts when the chain was replaced", async () => {
    const first = start(mine());
    await ringer.ring(1n);
    await caughtUp(first);
    const said = await recordedWords(database);
    const other = await startLocalChain(chainId);
    try {
      await other.rpc("hardhat_setPrevRandao", [numberToHex(7n, { size: 32 })]);
      await other.mine(20);
      const chain = accessTo(other.url, chainId, { blocks: 6 });
      const history = mine();
      const second = start(history, { chain });
      await halted(second);
      const { error } = second.status();
      assert.ok(isLockstepError(error, "chain-replaced"));
      assert.equal(error.details.found, await chain.genesis());
      assert.equal(error.details.known, await accessTo(local.url, chainId, { blocks: 0 }).genesis());
      assert.deepEqual(history.calls, []);
      assert.deepEqual(await recordedWords(database), said);
      // The same while it runs: the endpoint is another chain from one moment to the next.
      proxy.use((request) =>
        request.method === "eth_chainId"
          ? undefined
          : other.rpc(request.method, request.params).then((result) => ({ result })),
      );
      await halted(first);
      assert.equal(first.status().error?.code, "chain-replaced");
    } finally {
      await other.close();
    }
  });

  scene("takes nothing from an endpoint of another chain, and goes on when it is the right one", async () => {
    const history = mine();
    const before = proxy.seen.length;
    proxy.use(lyingAboutId(chainId + 1));
    const indexer = start(history);
    await until(() => indexer.status().error?.code === "chain-unreachable", "the endpoint is refused");
    assert.equal(indexer.status().state, "running");
    assert.equal(
      proxy.seen.slice(before).some(({ method }) => method === "eth_getLogs"),
      false,
    );
    proxy.use();
    await caughtUp(indexer);
  });

  scene("finds logs that a lagging node does not show at first", async () => {
    const indexer = start(mine());
    await caughtUp(indexer);
    let hidden = 2;
    proxy.use((request) =>
      request.method === "eth_getLogs" && hidden-- > 0 ? Promise.resolve({ result: [] }) : undefined,
    );
    await ringer.ring(1n);
    await caughtUp(indexer);
    assert.deepEqual(await recordedWords(database), await chainSays());
  });

  scene("finds logs that a node hid until their block is final, before it calls the block final", async () => {
    const history = mine();
    const indexer = start(history, { blocks: 3 });
    await caughtUp(indexer);
    proxy.use((request) => (request.method === "eth_getLogs" ? Promise.resolve({ result: [] }) : undefined));
    await ringer.ring(1n);
    const block = await local.height();
    await caughtUp(indexer);
    assert.deepEqual(await recordedWords(database), []);
    proxy.use();
    await local.mine(4);
    await caughtUp(indexer);
    assert.deepEqual(await recordedWords(database), await chainSays());
    const place = history.calls.indexOf(`included ${block}`);
    assert.ok(place >= 0 && history.calls.slice(0, place).every((call) => call !== `finalized ${block}`));
  });

  scene("finds logs that a node hid though their block was final at once and nothing follows", async () => {
    const late = () => {
      const history = createHistory(() => [ringer.address], { late: true });
      histories.push(history);
      return history;
    };
    const checked = (indexer: Indexer) =>
      until(() => indexer.status().checked === indexer.status().final, "all was looked at twice");
    /** The first look asks three times, since the block's bloom filter speaks of logs. */
    const hideFirst = async (indexer: Indexer, word: bigint) => {
      await caughtUp(indexer);
      let answers = 3;
      proxy.use((request) =>
        request.method === "eth_getLogs" && answers-- > 0 ? Promise.resolve({ result: [] }) : undefined,
      );
      await ringer.ring(word);
      await caughtUp(indexer);
      assert.ok(answers <= 0);
    };
    const allTold = () =>
      until(async () => (await recordedWords(database)).length === (await chainSays()).length, "all logs are told");
    const first = late();
    const indexer = start(first, { blocks: 0, recheckMs: 20 });
    await caughtUp(indexer);
    await checked(indexer);
    await hideFirst(indexer, 1n);
    await allTold();
    // The last thing it was told is that the block is final, or an idle chain would never say so.
    await checked(indexer);
    assert.match(first.calls.at(-1) ?? "", /^finalized /);
    // What was not looked at twice is not forgotten by a restart.
    await indexer.stop();
    const blind = start(late(), { blocks: 0 });
    await hideFirst(blind, 2n);
    assert.equal((await recordedWords(database)).length, 1);
    await blind.stop();
    const again = start(late(), { blocks: 0, recheckMs: 20 });
    await allTold();
    assert.deepEqual(await recordedWords(database), await chainSays());
    await checked(again);
  });

  for (const when of ["at once", "after a while"]) {
    scene(`reads logs again that an observer misses, and finds them ${when}`, async () => {
      const history = mine();
      const indexer = start(history, { blocks: 0 });
      await caughtUp(indexer);
      proxy.use((request) => (request.method === "eth_getLogs" ? Promise.resolve({ result: [] }) : undefined));
      const after = await local.height();
      await ringer.ring(1n);
      await ringer.ring(2n);
      await caughtUp(indexer);
      assert.deepEqual(await recordedWords(database), []);
      let hidden = when === "at once" ? 0 : 4;
      const missed = await local.height();
      proxy.use((request, forward) => {
        const { fromBlock } = (request.params[0] ?? {}) as { fromBlock?: string };
        if (request.method !== "eth_getLogs" || hidden === 0 || BigInt(fromBlock ?? 0) > missed) return undefined;
        hidden -= 1;
        return forward().then(() => ({ result: [] }));
      });
      history.miss(after, [1n, 2n]);
      await ringer.ring(3n);
      await caughtUp(indexer);
      assert.equal(hidden, 0);
      assert.deepEqual(await recordedWords(database), await chainSays());
      assert.equal(history.calls.filter((call) => call === `included ${after + 1n} ${after + 2n}`).length, 1);
    });
  }

  scene("halts when the logs that an observer misses do not turn up", async () => {
    const delays: number[] = [];
    const clock: Clock = {
      ...systemClock,
      sleep: (ms, signal) => {
        delays.push(ms);
        return systemClock.sleep(1, signal);
      },
    };
    const history = mine();
    const indexer = start(history, { blocks: 0, clock });
    await caughtUp(indexer);
    const after = await local.height();
    history.miss(after - 1n, [99n]);
    proxy.seen.length = 0;
    await ringer.ring(3n);
    await halted(indexer);
    assert.equal(indexer.status().error?.code, "lane-broken");
    assert.deepEqual(await recordedWords(database), []);
    const rereads = proxy.seen.filter(
      ({ method, params }) =>
        method === "eth_getLogs" && (params[0] as { fromBlock: string }).fromBlock === numberToHex(after - 1n),
    );
    assert.equal(rereads.length, 20);
    // Between looks that found nothing wrong it rests for a second.
    const growing = delays.filter((ms) => ms > 5 && ms !== 1_000);
    assert.equal(growing.length, 19);
    assert.deepEqual(
      growing,
      [...growing].sort((a, b) => a - b),
    );
  });

  scene("gets through an endpoint that hangs, dies and refuses wide ranges", async () => {
    for (let word = 1n; word <= 40n; word++) await ringer.ring(word);
    await local.mine(100);
    let requests = 0;
    proxy.use((request) => {
      requests++;
      if (requests % 13 === 0) return Promise.resolve("die");
      if (requests % 31 === 0) return Promise.resolve("hang");
      const filter = request.params[0] as { fromBlock: string; toBlock: string };
      if (request.method !== "eth_getLogs" || BigInt(filter.toBlock) - BigInt(filter.fromBlock) < 10n) return undefined;
      return Promise.resolve({ error: { code: -32005, message: "query returned more than 10 results" } });
    });
    const indexer = start(mine(), { chain: accessTo(proxy.url, chainId, { blocks: 0 }, 100) });
    await caughtUp(indexer);
    assert.deepEqual(await recordedWords(database), await chainSays());
  });

  scene("waits for a node that is behind, and does not take it for a reorganisation", async () => {
    const history = mine();
    const indexer = start(history, { blocks: 0 });
    await ringer.ring(1n);
    await local.mine(5);
    await caughtUp(indexer);
    const height = await local.height();
    const calls = history.calls.length;
    proxy.use((request, forward) =>
      request.params[0] === "latest" ? forward({ params: [numberToHex(height - 4n), false] }) : undefined,
    );
    await until(() => indexer.status().head === height - 4n, "the node is behind");
    proxy.use();
    await ringer.ring(2n);
    await caughtUp(indexer);
    assert.ok(history.calls.slice(calls).every((call) => !call.startsWith("reorged")));
    assert.deepEqual(await recordedWords(database), await chainSays());
  });

  scene("commits events and checkpoint together or not at all", async () => {
    const history = mine();
    const indexer = start(history);
    await caughtUp(indexer);
    history.failNext(new Error("the observer fails after it wrote"));
    await ringer.ring(1n);
    await caughtUp(indexer);
    assert.equal(history.calls.filter((call) => call.startsWith("included")).length, 2);
    assert.deepEqual(await recordedWords(database), await chainSays());
  });

  scene("shares a chain with another process without telling anything twice", async () => {
    const [one, two] = [start(mine()), start(mine())];
    for (let word = 1n; word <= 20n; word++) await ringer.ring(word);
    await caughtUp(one);
    await caughtUp(two);
    assert.deepEqual(await recordedWords(database), await chainSays());
  });

  scene("indexes at once when woken", async () => {
    const chain = { ...accessTo(local.url, chainId, { blocks: 0 }), watchHeads: () => () => undefined };
    const config = { pollMs: 60_000, startBlock: 0, logWindow: 2_000, recheckMs: 60_000 };
    const db = database.db;
    const indexer = createIndexer({ chain, config, db, observers: [mine()], log: quietLog, clock: systemClock });
    running.push(indexer);
    indexer.start();
    await caughtUp(indexer);
    await ringer.ring(1n);
    indexer.wake();
    await caughtUp(indexer);
    assert.deepEqual(await recordedWords(database), await chainSays());
  });

  scene("an endpoint that is gone stops nothing for good", async () => {
    const indexer = start(mine(), { chain: accessTo(proxy.url, chainId, { blocks: 6 }, 100) });
    await caughtUp(indexer);
    proxy.use(failing("die"));
    await until(() => indexer.status().error?.code === "chain-unreachable", "it fails");
    assert.equal(indexer.status().state, "running");
    proxy.use();
    await ringer.ring(1n);
    await caughtUp(indexer);
  });
});
