import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import type { Hex } from "#core/kernel/codec.ts";
import { hashlockOf } from "#swap/protocol/hashlock.ts";
import { anyHome, openNetwork, type TestNetwork } from "#test/support/network.ts";
import { type Stranger, strangerOn } from "./strangers.ts";

type Summary = {
  dryRun: boolean;
  left: number;
  locks: { chain: string; lockId: Hex; account: string; ended: boolean; lock: { state: string } }[];
};

const main = fileURLToPath(new URL("../../app/main.ts", import.meta.url));
const home = await anyHome();
const soon = () => BigInt(Math.floor(Date.now() / 1000));
const somebody = () => privateKeyToAccount(generatePrivateKey()).address;
const newSecret = (): Hex => `0x${randomBytes(32).toString("hex")}`;

describe("recovery without the database", () => {
  let test: TestNetwork;
  let alice: Stranger;
  let stranger: Stranger;
  let other: Stranger;
  before(async () => {
    test = await openNetwork(home, { lanes: [] });
    await test.network.service.stop();
    alice = await strangerOn(test, "alpha", test.network.accounts.alice?.key.reveal());
    stranger = await strangerOn(test, "beta");
    other = await strangerOn(test, "alpha");
  });
  after(() => test.close());

  /** The command on an empty database, with the configuration of the network's service. */
  async function recover(dataDir: string, env: Record<string, string>, ...args: string[]) {
    const level = args.includes("--dry-run") ? "" : "warn";
    const settings = JSON.parse(readFileSync(test.network.layout.service, "utf8"));
    const file = join(dataDir, "service.json");
    writeFileSync(file, JSON.stringify({ ...settings, dataDir, queuePrefix: "recovery" }));
    return new Promise<{ code: number; out: string; err: string }>((resolve) => {
      const child = execFile(
        process.execPath,
        [main, "recover", "--config", file, ...args],
        { env: { ...process.env, ...env, LOCKSTEP_LOG_LEVEL: level } },
        (_error, out, err) => resolve({ code: child.exitCode ?? -1, out: out || err, err }),
      );
    });
  }

  it("finds what managed accounts have in locks, claims what is public, refunds what is due, and ends", async () => {
    const bob = test.network.accounts.bob?.address ?? "0x";
    const secret = newSecret();
    const hashlock = hashlockOf(secret);
    const later = soon() + 3_600n;
    const own = await alice.lock({ recipient: somebody(), hashlock: hashlockOf(newSecret()), timelock: soon() + 45n });
    const paid = await stranger.lock({ recipient: bob, token: stranger.token, amount: 77n, hashlock, timelock: later });
    const unpaid = { recipient: bob, hashlock: hashlockOf(newSecret()), timelock: soon() + 45n };
    const missed = await stranger.lock(unpaid);
    const foreign = await stranger.lock({ hashlock: hashlockOf(newSecret()), timelock: later });
    const published = await other.lock({ hashlock, timelock: later });
    await other.claim(published.terms, secret);
    const before = await stranger.balanceOf(bob, "token");

    const dataDir = mkdtempSync(join(tmpdir(), "lockstep-test-recover-"));
    const stores = await home.open(dataDir);
    try {
      const dry = await recover(dataDir, stores.env, "--dry-run", "--json");
      assert.deepEqual([dry.code, dry.err], [0, ""], dry.out);
      const found: Summary = JSON.parse(dry.out);
      assert.deepEqual(
        new Map(found.locks.map(({ lockId, account }) => [lockId, account])),
        new Map([
          [own.id, "alice"],
          [paid.id, "bob"],
          [missed.id, "bob"],
        ]),
      );
      assert.equal(found.left, 3);
      assert.ok(await stranger.isOpen(paid.id));

      const once = await recover(dataDir, stores.env, "--once", "--json");
      const first: Summary = JSON.parse(once.out);
      assert.deepEqual([once.code, first.left], [1, 2], once.out);
      assert.equal((await stranger.balanceOf(bob, "token")) - before, 77n);
      assert.ok(await alice.isOpen(own.id));

      const rest = await recover(dataDir, stores.env);
      assert.equal(rest.code, 0, rest.out);
      assert.match(rest.out, new RegExp(`${own.id}: .* refunded`));
      assert.match(rest.out, new RegExp(`${missed.id}: .* missed`));
      assert.ok(soon() >= own.terms.timelock);
      assert.deepEqual(
        await Promise.all([alice.isOpen(own.id), stranger.isOpen(missed.id), stranger.isOpen(foreign.id)]),
        [false, true, true],
      );
      const nothing = await recover(dataDir, stores.env, "--json");
      assert.deepEqual([nothing.code, JSON.parse(nothing.out).left], [0, 0]);
    } finally {
      await stores.close();
      rmSync(dataDir, { recursive: true, force: true });
    }
  });
});
