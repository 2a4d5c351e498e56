import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { keccak256, numberToHex, parseGwei, parseTransaction } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { onDatabase } from "../../support/databases.ts";
import { type LocalChain, startLocalChain } from "../../support/localChain.ts";
import { finalityLag, losingTransactions, type RpcProxy, startRpcProxy } from "../../support/rpcProxy.ts";
import { deployRinger, type Ringer, revertingWord, ringData, rungTotal } from "../../support/tinyContracts.ts";
import { until } from "../../support/until.ts";
import { assertContiguous, type Bench, openBench, ringing } from "./support.ts";

const chainId = 991_021;
const words = (count: number) => Array.from({ length: count }, (_, index) => BigInt(index + 1));
const sum = (numbers: readonly bigint[]) => numbers.reduce((total, each) => total + each, 0n);

await onDatabase("the sender", (backend) => {
  let local: LocalChain;
  let proxy: RpcProxy;
  let ringer: Ringer;
  let bench: Bench;

  before(async () => {
    local = await startLocalChain(chainId);
    proxy = await startRpcProxy(local.url);
  });
  after(async () => {
    await proxy.close();
    await local.close();
  });

  /** Every case has a fresh database and a fresh contract on the same chain. */
  const scene = (name: string, run: () => Promise<void>) =>
    it(name, async () => {
      ringer = await deployRinger(local);
      bench = await openBench(backend, { url: proxy.url, chainId });
      try {
        await run();
      } finally {
        await bench.close();
        proxy.use();
      }
    });

  const ring = (word: bigint, overrides = {}) => ringing(ringer.address, word, overrides);
  const total = () => rungTotal(local, ringer.address);
  const sentBytes = () =>
    proxy.seen
      .filter(({ method }) => method === "eth_sendRawTransaction")
      .map(({ params }) => String(params[0]) as Hex);

  scene("brings a hundred intents to a hundred final receipts, in nonces without gap", async () => {
    const sender = await bench.process();
    const intents = words(100).map((word) => ring(word));
    await bench.submit(sender, intents.slice(0, 50));
    await bench.submit(sender, intents.slice(50));
    const ends = await bench.ended(intents.map(({ id }) => id));
    assert.ok(ends.every((end) => end.type === "IntentFinalized" && end.data.status === "success"));
    assertContiguous(await bench.nonces());
    assert.equal(await total(), sum(words(100)));
    const [first] = intents;
    assert.ok(first);
    assert.deepEqual(
      (await bench.eventsOf(first.id)).map(({ type }) => type),
      ["IntentIncluded", "IntentFinalized"],
    );
    const status = await sender.find(bench.database.db, first.id);
    assert.ok(status?.state === "finalized" && status.gasUsed > 21_000n);
    const found = await sender.findByTransactions(bench.database.db, [status.hash, keccak256("0x99")]);
    assert.deepEqual([...found], [[status.hash, { intentId: first.id, subject: "test", kind: "test.ring" }]]);
    assert.equal((await sender.findByTransactions(bench.database.db, [])).size, 0);
    assert.equal(await sender.find(bench.database.db, "nothing"), undefined);
  });

  scene("takes an intent that is asked for twice as one", async () => {
    const sender = await bench.process();
    await bench.submit(sender, [ring(1n), ring(1n)]);
    await bench.submit(sender, [ring(1n, { call: { to: ringer.address, data: ringData(9n), value: 0n } })]);
    await bench.ended(["ring-1"]);
    await bench.submit(sender, [ring(1n), ring(2n)]);
    await bench.ended(["ring-2"]);
    assert.equal(await total(), 3n);
  });

  scene("writes nothing of an intent when the caller's transaction fails", async () => {
    const sender = await bench.process();
    const failed = bench.database.db.tx(async (tx) => {
      await sender.submit(tx, [ring(1n)]);
      throw new Error("the caller changed its mind");
    });
    await assert.rejects(failed, /changed its mind/);
    await bench.submit(sender, [ring(2n)]);
    await bench.ended(["ring-2"]);
    assert.equal(await total(), 2n);
  });

  scene("refuses what could never be sent", async () => {
    const sender = await bench.process();
    const refused = (overrides: object, code: string) =>
      assert.rejects(
        bench.submit(sender, [ring(1n, overrides)]),
        (error) => isLockstepError(error) && error.code === code,
      );
    await refused({ gas: 16_777_217n }, "request-invalid");
    await refused({ chain: "gamma" }, "chain-unknown");
    await refused({ account: "carol" }, "account-unknown");
    await refused({ call: { builder: "none", ref: {} } }, "internal");
  });

  scene("tells a transaction that reverted on chain from one that succeeded", async () => {
    const sender = await bench.process();
    await bench.submit(sender, [ring(revertingWord, { id: "bad" }), ring(1n)]);
    const [bad, good] = await bench.ended(["bad", "ring-1"]);
    assert.ok(bad?.type === "IntentFinalized" && bad.data.status === "reverted");
    assert.ok(good?.type === "IntentFinalized" && good.data.status === "success");
  });

  scene("abandons what its dry-run shows to revert, without spending a nonce on it", async () => {
    const sender = await bench.process();
    await bench.submit(sender, [ring(revertingWord, { id: "bad", dryRun: true }), ring(1n, { dryRun: true })]);
    const [bad, good] = await bench.ended(["bad", "ring-1"]);
    assert.ok(bad?.type === "IntentAbandoned" && bad.data.reason === "reverts" && bad.data.detail.includes("revert"));
    assert.equal(good?.type, "IntentFinalized");
    assert.equal((await bench.nonces()).length, 1);
    assert.equal((await sender.find(bench.database.db, "bad"))?.state, "abandoned");
  });

  scene("never sends an intent whose time had passed, and uses its nonce up if it had one", async () => {
    const past = BigInt(Math.floor(Date.now() / 1_000) - 5);
    const sender = await bench.process();
    await bench.submit(sender, [ring(1n, { notAfter: past })]);
    const [end] = await bench.ended(["ring-1"]);
    assert.ok(end?.type === "IntentAbandoned" && end.data.reason === "expired");
    assert.deepEqual(await bench.nonces(), []);
    await sender.stop();

    // Signed in time by a process that stood still before it sent.
    let now = Date.now();
    const clock = {
      now: () => now,
      sleep: (ms: number) => new Promise<void>((done) => setTimeout(done, Math.min(ms, 5))),
    };
    const mark = (point: string) => {
      if (point === "signed/test.ring") now += 3_600_000;
    };
    const paused = await bench.process({ clock, mark });
    const notAfter = BigInt(Math.floor(now / 1_000) + 60);
    await bench.submit(paused, [ring(2n, { notAfter }), ring(3n)]);
    const [late, other] = await bench.ended(["ring-2", "ring-3"]);
    assert.ok(late?.type === "IntentAbandoned" && late.data.reason === "expired");
    assert.equal(other?.type, "IntentFinalized");
    assert.equal(await total(), 3n);
    assertContiguous(await bench.nonces());
  });

  scene("asks the guard right before the first byte, and voids the nonce when it refuses", async () => {
    const asked: string[] = [];
    let failures = 2;
    const sender = await bench.process({
      guards: {
        "test.guarded": async ({ id }) => {
          asked.push(id);
          if (failures-- > 0) throw new Error("the guard cannot see");
          return id === "ring-1" ? { send: false, detail: "the other leg is gone" } : { send: true };
        },
      },
    });
    await bench.submit(sender, [ring(1n, { kind: "test.guarded" }), ring(2n, { kind: "test.guarded" }), ring(4n)]);
    const [refused, agreed, free] = await bench.ended(["ring-1", "ring-2", "ring-4"]);
    assert.ok(refused?.type === "IntentAbandoned" && refused.data.detail === "the other leg is gone");
    assert.equal(refused.data.reason, "refused");
    assert.equal(agreed?.type, "IntentFinalized");
    assert.equal(free?.type, "IntentFinalized");
    assert.equal(await total(), 6n);
    assert.deepEqual(asked, ["ring-1", "ring-2", "ring-1", "ring-2"], "both at first, which cannot be decided");
  });

  scene("lets nothing stand as sent that waits behind another one, and asks its guard again", async () => {
    const asked: string[] = [];
    let taken = false;
    proxy.use(({ method }) => (method === "eth_sendRawTransaction" && !taken ? Promise.resolve("die") : undefined));
    const sender = await bench.process({
      guards: {
        "test.guarded": async ({ id }) => {
          asked.push(id);
          return { send: true };
        },
      },
    });
    await bench.submit(
      sender,
      [1n, 2n, 3n].map((word) => ring(word, { kind: "test.guarded" })),
    );
    await until(() => asked.length >= 3, "all are asked about");
    const released = async () => {
      const rows = await bench.database.db.query<{ id: string }>(
        "SELECT id FROM sender_intent WHERE released ORDER BY id",
      );
      return rows.map(({ id }) => id).join();
    };
    await until(async () => (await released()) === "ring-1", "only what may have left stands as sent");
    taken = true;
    await bench.ended(["ring-1", "ring-2", "ring-3"]);
    assert.equal(asked.filter((id) => id === "ring-1").length, 1, "its bytes may have left");
    assert.ok(asked.filter((id) => id === "ring-2").length > 1);
    assert.equal(await total(), 6n);
  });

  for (const point of ["signed", "broadcast"]) {
    scene(`sends the same bytes, and they act once, when the process dies at ${point}`, async () => {
      let deaths = 0;
      const mark = (at: string) => {
        if (at !== `${point}/test.ring`) return;
        deaths++;
        throw new Error("the process dies here");
      };
      // What the dead process would do next never happens.
      const dying = await bench.process({ mark, settings: { alpha: { pollMs: 60_000 } } });
      await bench.submit(dying, [ring(1n), ring(2n), ring(3n)]);
      await until(() => deaths > 0, "the process dies");
      await dying.stop();
      const before = proxy.seen.length;
      const hashes = await bench.database.db.query<{ hash: Hex }>("SELECT hash FROM sender_attempt ORDER BY place");
      assert.equal(hashes.length, 3);
      await bench.process();
      await bench.ended(["ring-1", "ring-2", "ring-3"]);
      assert.equal(await total(), 6n);
      assertContiguous(await bench.nonces());
      const again = proxy.seen.slice(before).filter(({ method }) => method === "eth_sendRawTransaction");
      for (const { params } of again) assert.ok(hashes.some(({ hash }) => hash === keccak256(params[0] as Hex)));
    });
  }

  scene("brings everything through when a fifth of the transactions gets lost on the way", async () => {
    let count = 0;
    proxy.use(
      losingTransactions(
        () => (++count % 5 === 0 ? (count % 10 === 0 ? "silent" : "loud") : undefined),
        (raw) => keccak256(raw as Hex),
      ),
    );
    const sender = await bench.process();
    await bench.submit(
      sender,
      words(40).map((word) => ring(word)),
    );
    await bench.ended(words(40).map((word) => `ring-${word}`));
    assert.equal(await total(), sum(words(40)));
    assertContiguous(await bench.nonces());
  });

  scene("sends again what a reorganisation took out, and ends it once it is final", async () => {
    proxy.use(finalityLag(3));
    const fork = await local.snapshot();
    const sender = await bench.process({ finality: "finalized" });
    await bench.submit(sender, [ring(1n), ring(2n), ring(3n)]);
    const isIncluded = async () => (await sender.find(bench.database.db, "ring-3"))?.state === "included";
    await until(isIncluded, "all are in a block");
    await local.revert(fork);
    await local.mine(1);
    await until(async () => (await total()) === 6n, "all are there again");
    assert.equal((await bench.eventsOf("ring-1")).length, 1);
    await until(isIncluded, "they are seen again");
    await local.mine(3);
    const ends = await bench.ended(["ring-1", "ring-2", "ring-3"]);
    assert.ok(ends.every(({ type }) => type === "IntentFinalized"));
    for (const id of ["ring-1", "ring-2", "ring-3"]) assert.equal((await bench.eventsOf(id)).length, 2);
    assert.equal(await total(), 6n);
    assertContiguous(await bench.nonces());
    assert.equal(new Set(sentBytes().filter((raw) => parseTransaction(raw).to === ringer.address)).size, 3);
  });

  scene("gives an intent another nonce only when a foreign transaction is final at its own", async () => {
    proxy.use(finalityLag(2), (request) =>
      // Until the foreign transaction is there, nothing of ours gets through.
      request.method === "eth_sendRawTransaction" && !foreignIsThere ? Promise.resolve("die") : undefined,
    );
    let foreignIsThere = false;
    const sender = await bench.process({ finality: "finalized" });
    await bench.submit(sender, [ring(1n)]);
    const [nonce] = await until(async () => {
      const found = await bench.nonces();
      return found.length > 0 && found;
    }, "it has a nonce");
    const { raw } = await bench.keyStore.signTransaction("alice", {
      ...{ chainId, nonce: nonce ?? 0, to: bench.keyStore.address("bob"), gas: 21_000n },
      ...{ maxFeePerGas: parseGwei("20"), maxPriorityFeePerGas: 1n },
    });
    await local.rpc("eth_sendRawTransaction", [raw]);
    foreignIsThere = true;
    await until(() => sentBytes().length > 3, "the sender tries");
    assert.deepEqual(await bench.nonces(), [nonce]);
    await local.mine(3);
    await until(async () => (await total()) === 1n, "it is sent at another nonce");
    await local.mine(3);
    await bench.ended(["ring-1"]);
    assert.deepEqual(await bench.nonces(), [(nonce ?? 0) + 1]);
    assert.equal(await total(), 1n);
  });

  scene("halts when the chain was replaced under it", async () => {
    const first = await bench.process();
    await bench.submit(first, [ring(1n)]);
    await bench.ended(["ring-1"]);
    await first.stop();
    const other = await startLocalChain(chainId);
    try {
      await other.mine(2);
      const sender = await bench.process({ url: other.url });
      await bench.submit(sender, [ring(2n)]);
      const halted = await until(
        () => sender.status().find(({ account, state }) => account === "alice" && state === "halted"),
        "it halts",
      );
      assert.equal(halted.error?.code, "chain-replaced");
      assert.equal((await sender.find(bench.database.db, "ring-2"))?.state, "queued");
    } finally {
      await other.close();
    }
  });

  scene("keeps bytes and secret calls unreadable in the database and everywhere else", async () => {
    const secret = 0x5ec4e7c0ffee5ec4e7c0ffee5ec4e7c0ffee5ec4e7c0ffee5ec4e7c0ffee5ec4n;
    const needle = numberToHex(secret).slice(2);
    const builders = { reveal: async () => ({ to: ringer.address, data: ringData(secret), value: 0n }) };
    let deaths = 0;
    const mark = (point: string) => {
      if (point === "signed/test.reveal" && deaths++ === 0) throw new Error("stop here once");
    };
    const sender = await bench.process({ builders, mark, settings: { alpha: { pollMs: 300 } } });
    const call = { builder: "reveal", ref: { swap: "7" } };
    await bench.submit(sender, [ring(1n, { id: "secret", kind: "test.reveal", call })]);
    await until(() => deaths > 0, "it is signed");
    const dump = async () => {
      const tables = ["sender_intent", "sender_attempt", "events"];
      const rows = await Promise.all(
        tables.map((table) => bench.database.db.query<{ t: string }>(`SELECT t::text AS t FROM ${table} t`)),
      );
      return rows
        .flat()
        .map(({ t }) => t)
        .join("\n")
        .toLowerCase();
    };
    const stored = await dump();
    assert.ok(stored.includes("reveal") && !stored.includes(needle) && !stored.includes("5ec4e7c0ffee"));
    await bench.ended(["secret"]);
    assert.equal(await total(), secret);
    assert.ok(!(await dump()).includes("5ec4e7c0ffee"));
    assert.equal(
      proxy.seen.some(({ method, params }) => method === "eth_call" && JSON.stringify(params).includes(needle)),
      false,
    );
    const left = await bench.database.db.query("SELECT 1 FROM sender_attempt WHERE sealed IS NOT NULL");
    assert.equal(left.length, 0, "the bytes are dropped once final");
  });

  scene("two processes on one account lose nothing and do nothing twice", async () => {
    const [one, two] = [await bench.process(), await bench.process()];
    await bench.submit(
      one,
      words(10).map((word) => ring(word)),
    );
    await bench.submit(
      two,
      words(20)
        .slice(10)
        .map((word) => ring(word)),
    );
    await bench.ended(words(20).map((word) => `ring-${word}`));
    assert.equal(await total(), sum(words(20)));
    assertContiguous(await bench.nonces());
  });
});
