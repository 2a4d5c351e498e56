import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { createKeyStore, type KeyStore } from "#core/chain/keys.ts";
import { createRemoteSigner } from "#core/chain/remoteSigner.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { createPostJson } from "#core/kernel/postJson.ts";
import { redact } from "#core/kernel/redacted.ts";
import { onDatabase } from "../../support/databases.ts";
import { type LocalChain, localKey, startLocalChain } from "../../support/localChain.ts";
import { deployRinger, type Ringer, rungTotal } from "../../support/tinyContracts.ts";
import { until } from "../../support/until.ts";
import { type SignerServer, startSignerServer } from "../chain/remoteSignerServer.ts";
import { assertContiguous, type Bench, openBench, ringing } from "./support.ts";

const chainId = 991_029;

await onDatabase("a sender whose account's key is elsewhere", (backend) => {
  let local: LocalChain;
  let ringer: Ringer;
  let bench: Bench;
  let server: SignerServer;
  let keyStore: KeyStore;

  before(async () => {
    local = await startLocalChain(chainId);
    server = await startSignerServer([localKey(5)]);
  });
  after(async () => {
    await server.close();
    await local.close();
  });

  const scene = (name: string, run: () => Promise<void>) =>
    it(name, async () => {
      ringer = await deployRinger(local);
      bench = await openBench(backend, { url: local.url, chainId });
      const alice = createRemoteSigner({
        ...{ address: bench.keyStore.address("alice"), url: server.url, clock: systemClock },
        post: createPostJson({ timeoutMs: 5_000, most: 100_000 }),
      });
      keyStore = createKeyStore({ alice, bob: redact(localKey(6)) });
      try {
        await run();
      } finally {
        server.use();
        await bench.close();
      }
    });

  const ring = (word: bigint, overrides = {}) => ringing(ringer.address, word, overrides);
  const rows = () =>
    bench.database.db.query<{ id: string; nonce: bigint | null; released: boolean; waiting: string | null }>(
      "SELECT id, nonce, released, waiting_code AS waiting FROM sender_intent ORDER BY id",
    );

  scene("gives nothing a nonce while nobody signs, keeps no other account waiting, and goes on by itself", async () => {
    server.use(() => "die");
    const sender = await bench.process({ keyStore });
    await bench.submit(sender, [ring(1n), ring(2n), ring(4n, { account: "bob" })]);
    await bench.ended(["ring-4"]);
    const waiting = await until(async () => {
      const found = (await rows()).filter((row) => row.waiting === "signing-failed");
      return found.length === 2 && found;
    }, "both say why they wait");
    assert.deepEqual(
      waiting.map(({ id, nonce }) => [id, nonce]),
      [
        ["ring-1", null],
        ["ring-2", null],
      ],
    );
    server.use();
    await bench.ended(["ring-1", "ring-2"]);
    assert.equal(await rungTotal(local, ringer.address), 7n);
  });

  scene("asks once for many while nobody answers", async () => {
    server.use(() => "die");
    const before = server.requests.length;
    const sender = await bench.process({ keyStore });
    const words = Array.from({ length: 20 }, (_, at) => 1n << BigInt(at));
    await bench.submit(
      sender,
      words.map((word) => ring(word)),
    );
    await until(async () => (await rows()).every(({ waiting }) => waiting === "signing-failed"), "all wait");
    assert.ok(server.requests.length - before < 5, `asked ${server.requests.length - before} times`);
    server.use();
    await bench.ended(words.map((word) => `ring-${word}`));
    assertContiguous(await bench.nonces());
  });

  scene("lets nothing stand as sent behind a nonce whose void nobody signs, and asks the guards again", async () => {
    const asked: string[] = [];
    let guarding = false;
    const sender = await bench.process({
      keyStore,
      guards: {
        "test.guarded": async ({ id }) => {
          // Signed by now; from here on nobody signs.
          if (!guarding) server.use(() => "die");
          guarding = true;
          asked.push(id);
          return id === "ring-1" ? { send: false, detail: "the other leg is gone" } : { send: true };
        },
      },
    });
    await bench.submit(
      sender,
      [1n, 2n, 4n].map((word) => ring(word, { kind: "test.guarded" })),
    );
    await until(() => asked.filter((id) => id === "ring-1").length > 1, "it is judged again");
    await until(async () => (await rows()).every(({ released }) => !released), "nothing stands as sent");
    assert.equal(await rungTotal(local, ringer.address), 0n);
    server.use();
    const [first, ...others] = await bench.ended(["ring-1", "ring-2", "ring-4"]);
    assert.ok(first?.type === "IntentAbandoned" && first.data.reason === "refused");
    assert.deepEqual(
      others.map((each) => each.type),
      ["IntentFinalized", "IntentFinalized"],
    );
    assert.ok(asked.filter((id) => id === "ring-2").length > 1, "the last check is made again");
    assert.equal(await rungTotal(local, ringer.address), 6n);
    assertContiguous(await bench.nonces());
  });
});
