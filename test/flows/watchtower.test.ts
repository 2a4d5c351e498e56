import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { before, describe, it } from "node:test";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import type { Hex } from "#core/kernel/codec.ts";
import { hashlockOf } from "#swap/protocol/hashlock.ts";
import { anyHome, shareNetwork, type TestNetwork } from "#test/support/network.ts";
import { until } from "#test/support/until.ts";
import { type SwapAnswer, swapRequest } from "./requests.ts";
import { type Stranger, strangerOn } from "./strangers.ts";

type LockAnswer = {
  chain: string;
  lockId: Hex;
  state: string;
  asset: { type: string };
  secret?: Hex;
  swap?: string;
  watch?: { state: string; reason: { code: string }; timeline: { what: string; detail?: string }[] };
};
type Page = { locks: LockAnswer[]; next?: string };
type Problem = { status: number; code: string; details?: Record<string, string> };

const home = await anyHome();
const tip = 10n ** 17n;
const patienceMs = 40_000;
const soon = () => BigInt(Math.floor(Date.now() / 1000));
const somebody = () => privateKeyToAccount(generatePrivateKey()).address;
const newSecret = (): Hex => `0x${randomBytes(32).toString("hex")}`;

describe("locks of others", () => {
  const open = shareNetwork(home);
  let test: TestNetwork;
  let alpha: Stranger;
  let beta: Stranger;
  before(async () => {
    test = open();
    [alpha, beta] = await Promise.all([strangerOn(test, "alpha"), strangerOn(test, "beta")]);
  });

  const pathOf = (chain: string, id: Hex) => `/v1/locks/${chain}/${id}`;
  const watch = (chain: string, id: Hex) => test.api.post<LockAnswer>(`${pathOf(chain, id)}/watch`, {});
  const known = (chain: string, id: Hex) =>
    until(async () => (await fetch(`${test.network.api}${pathOf(chain, id)}`)).ok, "the ledger has the lock");
  const ends = (id: Hex, state: string) =>
    test.api.until<LockAnswer>(pathOf("alpha", id), (lock) => lock.watch?.state === state, patienceMs);

  async function refused(chain: string, id: Hex): Promise<Problem> {
    const response = await fetch(`${test.network.api}${pathOf(chain, id)}/watch`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${test.network.token()}` },
      body: "{}",
    });
    assert.ok(!response.ok);
    return (await response.json()) as Problem;
  }

  /** One lock of each kind; of the batch its middle leaf. */
  async function lockAll(recipient: Hex, hashlock: Hex, timelock: bigint) {
    const terms = { recipient, hashlock, timelock };
    const native = await alpha.lock({ ...terms, amount: 1_001n });
    const token = await alpha.lock({ ...terms, token: alpha.token, amount: 1_002n });
    const nft = await alpha.lockNft({ ...terms, tip });
    const other = { recipient, amount: 1n, hashlock: hashlockOf(newSecret()), timelock: timelock + 3_600n };
    const [, leaf = "0x"] = await alpha.lockBatch([other, { ...terms, amount: 1_004n }, other]);
    const ids = [native.id, token.id, nft.id, leaf];
    await Promise.all(ids.map((id) => known("alpha", id)));
    return { ids, nft };
  }

  it("are claimed with a secret that became public on the other chain, each kind of lock", async () => {
    const [recipient, secret] = [somebody(), newSecret()];
    const hashlock = hashlockOf(secret);
    const { ids, nft } = await lockAll(recipient, hashlock, soon() + 3_600n);
    for (const id of ids) {
      const view = await watch("alpha", id);
      assert.deepEqual([view.state, view.watch?.state, view.secret], ["open", "watching", undefined]);
    }
    const watched = await test.api.get<Page>("/v1/locks?chain=alpha&state=open&watched=true&limit=100");
    assert.deepEqual(
      ids.filter((id) => !watched.locks.some(({ lockId }) => lockId === id)),
      [],
    );
    const published = await beta.lock({ hashlock, timelock: soon() + 3_600n });
    await beta.claim(published.terms, secret);
    for (const id of ids) {
      const done = await ends(id, "claimed");
      assert.equal(done.secret, secret);
      assert.deepEqual(
        done.watch?.timeline.map(({ what }) => what),
        ["LockWatched", "WatchStepStarted", "WatchEnded"],
      );
    }
    assert.equal(await alpha.balanceOf(recipient), 1_001n + 1_004n);
    assert.equal(await alpha.balanceOf(recipient, "token"), 1_002n);
    assert.equal(await nft.owner(), recipient);
  });

  it("are refunded after their timelock, each kind of lock", async () => {
    const recipient = somebody();
    const timelock = soon() + 8n;
    const { ids, nft } = await lockAll(recipient, hashlockOf(newSecret()), timelock);
    for (const id of ids) await watch("alpha", id);
    for (const id of ids) {
      const done = await ends(id, "refunded");
      assert.ok(done.watch?.timeline.every(({ detail }) => !detail?.startsWith("claim")));
    }
    assert.ok(soon() >= timelock);
    assert.equal(await alpha.balanceOf(recipient), 0n);
    assert.equal(await alpha.balanceOf(recipient, "token"), 0n);
    assert.equal(await nft.owner(), alpha.address);
  });

  it("are refused with a code and the numbers when nothing pays for them, or when they are not what they should be", async () => {
    const terms = { recipient: somebody(), hashlock: hashlockOf(newSecret()), timelock: soon() + 3_600n };
    const nft = await alpha.lockNft({ ...terms, tip: 3n });
    await known("alpha", nft.id);
    const poor = await refused("alpha", nft.id);
    assert.deepEqual([poor.status, poor.code, poor.details?.tip], [422, "tip-too-low", "3"]);
    assert.ok(BigInt(poor.details?.needed ?? 0) > 3n);
    assert.equal((await refused("alpha", hashlockOf(newSecret()))).code, "not-found");
    assert.equal((await refused("gamma", nft.id)).code, "chain-unknown");
    const secret = newSecret();
    const lock = await alpha.lock({ ...terms, hashlock: hashlockOf(secret) });
    await known("alpha", lock.id);
    await alpha.claim(lock.terms, secret);
    await test.api.until<LockAnswer>(pathOf("alpha", lock.id), ({ state }) => state === "claimed", patienceMs);
    assert.equal((await refused("alpha", lock.id)).code, "lock-ended");
  });

  it("are told from legs of a swap, which stay with their swap", async () => {
    const { id, source } = await test.api.post<SwapAnswer>("/v1/swaps", swapRequest(test.network));
    await known("alpha", source.lockId);
    const problem = await refused("alpha", source.lockId);
    assert.deepEqual([problem.code, problem.details?.swap], ["lock-of-swap", id]);
    await test.api.until<SwapAnswer>(`/v1/swaps/${id}`, ({ status }) => status === "completed", patienceMs);
    const leg = await test.api.get<LockAnswer>(pathOf("alpha", source.lockId));
    assert.deepEqual([leg.swap, leg.state, leg.watch], [id, "claimed", undefined]);
  });

  it("are listed in pages", async () => {
    const first = await test.api.get<Page>("/v1/locks?limit=3");
    const second = await test.api.get<Page>(`/v1/locks?limit=3&cursor=${first.next}`);
    const ids = [...first.locks, ...second.locks].map(({ chain, lockId }) => chain + lockId);
    assert.deepEqual([ids.length, new Set(ids).size], [6, 6]);
    const beta = await test.api.get<Page>("/v1/locks?chain=beta&state=claimed&watched=false");
    assert.ok(beta.locks.length > 0 && beta.locks.every(({ chain, state }) => chain === "beta" && state === "claimed"));
  });
});
