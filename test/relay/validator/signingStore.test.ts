import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { isLockstepError } from "#core/kernel/errors.ts";
import { createSigningStore } from "#relay/validator/signingStore.ts";
import { addressOf, hashOf } from "../samples.ts";

const lane = { origin: "1-0xaa", destination: "2-0xbb" };
const link = (nonce: bigint, seed = Number(nonce)) => ({ nonce, accumulator: hashOf(seed) });

describe("a validator's memory", () => {
  let folder: string;
  let count = 0;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "lockstep-signing-"));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));
  const newFile = () => join(folder, `${++count}.sqlite`);

  it("gives one accumulator for a place of a lane, for ever, also after it was opened again", () => {
    const file = newFile();
    const first = createSigningStore(file);
    assert.equal(first.claim(lane, 0, link(5n)), hashOf(5));
    assert.equal(first.claim(lane, 0, link(5n, 99)), hashOf(5));
    first.close();
    const again = createSigningStore(file);
    assert.equal(again.claim(lane, 0, link(5n, 99)), hashOf(5));
    // Another generation is another history.
    assert.equal(again.claim(lane, 1, link(5n, 99)), hashOf(99));
    assert.deepEqual([again.newestGeneration(lane), again.newestSigned(lane, 1)], [1, link(5n, 99)]);
    again.close();
  });

  it("belongs to the key that signed first", () => {
    const file = newFile();
    const [own, other] = [addressOf(1), addressOf(2)];
    const first = createSigningStore(file);
    first.assertSameSigner(own);
    first.close();
    const again = createSigningStore(file);
    again.assertSameSigner(own);
    assert.throws(
      () => again.assertSameSigner(other),
      (error) => isLockstepError(error, "config-invalid") && error.details.field === "key",
    );
    again.close();
  });

  it("takes drafts and the block they lead to together, and replaces the history together", () => {
    const store = createSigningStore(newFile());
    store.assertSameChain(lane.origin, hashOf(1));
    store.draft(lane, [link(1n)]);
    store.draft(lane, [link(2n)]);
    // Nothing that is only set aside counts.
    assert.equal(store.head(lane), undefined);
    store.record(lane.origin, { height: 7n, hash: hashOf(7) });
    assert.deepEqual([store.head(lane), store.cursor(lane.origin)?.height], [link(2n), 7n]);
    assert.equal(store.accumulatorAt(lane, 1n), hashOf(1));
    // Link 2 is there already: nothing of the whole is kept.
    store.draft(lane, [link(2n), link(3n)]);
    assert.throws(() => store.record(lane.origin, { height: 8n, hash: hashOf(8) }));
    assert.deepEqual([store.head(lane), store.cursor(lane.origin)?.height], [link(2n), 7n]);
    store.dropDrafts(lane.origin);
    store.draft(lane, [link(1n, 50)]);
    store.record(lane.origin, { height: 9n, hash: hashOf(9) }, true);
    assert.deepEqual(store.head(lane), link(1n, 50));
    store.close();
  });

  it("keeps how far it came over quiet blocks when it forgets and when it is closed", () => {
    const file = newFile();
    const store = createSigningStore(file);
    store.assertSameChain(lane.origin, hashOf(1));
    store.draft(lane, [link(1n)]);
    store.record(lane.origin, { height: 7n, hash: hashOf(7) });
    store.pass(lane.origin, { height: 9n, hash: hashOf(9) });
    assert.deepEqual(store.cursor(lane.origin), { height: 9n, hash: hashOf(9) });
    store.forget(lane.origin);
    assert.deepEqual([store.cursor(lane.origin), store.reached(lane.origin)], [undefined, 9n]);
    store.record(lane.origin, { height: 10n, hash: hashOf(10) });
    store.pass(lane.origin, { height: 12n, hash: hashOf(12) });
    store.close();
    const again = createSigningStore(file);
    assert.deepEqual([again.cursor(lane.origin), again.reached(lane.origin)], [{ height: 12n, hash: hashOf(12) }, 12n]);
    again.close();
  });

  it("tells where drafts contradict what was signed in a generation", () => {
    const store = createSigningStore(newFile());
    for (const nonce of [1n, 2n, 3n]) store.claim(lane, 0, link(nonce));
    store.claim(lane, 1, link(2n, 60));
    store.draft(lane, [link(1n), link(2n, 60)]);
    assert.deepEqual(store.contradiction(lane, 0), { ...link(2n), drafted: hashOf(60) });
    assert.equal(store.contradiction(lane, 1), undefined);
    store.dropDrafts(lane.origin);
    store.draft(lane, [link(1n), link(2n)]);
    assert.deepEqual(store.contradiction(lane, 0), { ...link(3n), drafted: undefined });
    store.close();
  });

  it("keeps what was signed and how far it was when a history is forgotten", () => {
    const store = createSigningStore(newFile());
    store.assertSameChain(lane.origin, hashOf(1));
    store.draft(lane, [link(1n)]);
    store.record(lane.origin, { height: 7n, hash: hashOf(7) });
    store.claim(lane, 0, link(1n));
    store.halt("a reason");
    assert.throws(
      () => store.claim(lane, 0, link(1n)),
      (error) => isLockstepError(error, "validator-halted"),
    );
    store.resume();
    assert.deepEqual([store.halted(), store.head(lane), store.cursor(lane.origin)], [undefined, undefined, undefined]);
    assert.equal(store.reached(lane.origin), 7n);
    assert.equal(store.claim(lane, 0, link(1n, 99)), hashOf(1));
    store.close();
  });

  it("knows its chains by their first block", () => {
    const store = createSigningStore(newFile());
    store.assertSameChain(lane.origin, hashOf(1));
    store.assertSameChain(lane.origin, hashOf(1));
    assert.throws(
      () => store.assertSameChain(lane.origin, hashOf(2)),
      (error) => isLockstepError(error, "chain-replaced"),
    );
    store.close();
  });

  it("stays halted, with the first reason", () => {
    const file = newFile();
    const store = createSigningStore(file);
    assert.equal(store.halted(), undefined);
    store.halt("first");
    store.halt("second");
    store.close();
    const again = createSigningStore(file);
    assert.equal(again.halted(), "first");
    again.close();
  });

  it("belongs to one process, and has everything that a killed one has claimed", { timeout: 30_000 }, async () => {
    const file = newFile();
    const child = spawn(process.execPath, [join(import.meta.dirname, "claimingChild.ts"), file], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const claimed: bigint[] = [];
    const lines = createInterface({ input: child.stdout });
    for await (const line of lines) {
      claimed.push(BigInt(line));
      if (claimed.length === 1) {
        assert.throws(
          () => createSigningStore(file),
          (error) => isLockstepError(error, "data-folder-in-use"),
        );
      }
      if (claimed.length === 20) child.kill("SIGKILL");
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    const store = createSigningStore(file);
    // A claim that was lost would be taken by the other accumulator.
    for (const nonce of claimed) {
      assert.equal(store.claim(lane, 0, link(nonce, 0)), hashOf(Number(nonce)), `claim ${nonce} was lost`);
    }
    store.close();
  });
});
