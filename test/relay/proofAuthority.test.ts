import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { decodeFunctionData, encodeFunctionResult, type Hex, numberToHex, size, zeroHash } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { stateOracleAbi } from "#core/abi/stateOracle.ts";
import type { Chain, ProveState } from "#core/chain/chain.ts";
import type { StateProof } from "#core/chain/verifyState.ts";
import { migrate } from "#core/db/migrate.ts";
import type { PostgresDb } from "#core/db/postgres.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { IntentRequest, IntentStatus, Sender } from "#core/sender/sender.ts";
import { relayMigrations } from "#relay";
import type { Authorize } from "#relay/authority.ts";
import { calldataCap } from "#relay/gas.ts";
import type { LaneEnds } from "#relay/lane.ts";
import type { OpenMessage } from "#relay/openMessage.ts";
import { headSlots } from "#relay/proof/headSlots.ts";
import { createProofAuthority } from "#relay/proof/proofAuthority.ts";
import { embeddedDatabase, quietLog } from "../support/databases.ts";
import { addressOf, epoch, hashOf } from "./samples.ts";

const oracle = addressOf(90);
const gateway = { alpha: addressOf(91), beta: addressOf(92) };
const idOf = (nonce: bigint) => hashOf(Number(nonce));
const accumulatorOf = (nonce: bigint) => hashOf(Number(nonce) + 500);

/** A final message whose block has the number of its nonce. */
const message = (nonce: bigint, payloadBytes = 10): OpenMessage =>
  ({
    ...{ id: `m${nonce}`, version: 1, position: nonce, nonce, gasLimit: 100_000n, payloadBytes },
    progress: { sent: { nonce, block: nonce, onchainId: idOf(nonce), accumulator: accumulatorOf(nonce) } },
  }) as unknown as OpenMessage;
const planOf = (first: bigint, last: bigint, payloadBytes?: number) => {
  const [head, ...rest] = Array.from({ length: Number(last - first) + 1 }, (_, n) =>
    message(first + BigInt(n), payloadBytes),
  );
  return [head!, ...rest] as const;
};

describe("the authority of a proof", () => {
  let close: () => Promise<void>;
  let db: PostgresDb;
  let authorize: Authorize;
  /** What the chains and validators are like; blocks of the origin bring one message each. */
  let scene: {
    final: bigint;
    generation: number;
    signed: boolean;
    forgotten: (block: bigint) => boolean;
    forked: boolean;
    attested: Map<bigint, { blockHash: Hex; generation: number }>;
    revoked: boolean;
    /** Nodes in each of the two proofs. */
    depth: number;
    intents: Map<string, IntentStatus>;
    submitted: IntentRequest[];
  };
  before(async () => {
    const database = await embeddedDatabase.open();
    ({ db, close } = database);
    await migrate(db, [...eventMigrations, ...relayMigrations]);
    const flags = "submitted, dropped, sent_final, attested, failed_final, executed_final, retry_running";
    for (let nonce = 1; nonce <= 60; nonce++) {
      await db.query(
        `INSERT INTO relay_messages (id, version, position, origin, destination, status, nonce, onchain_id, accumulator, ${flags})
         VALUES ($1, 1, $2, 'alpha', 'beta', 'final', $2, $3, $4, false, false, true, false, false, false, false)`,
        [`m${nonce}`, String(nonce), idOf(BigInt(nonce)), accumulatorOf(BigInt(nonce))],
      );
    }
  });
  after(() => close?.());
  beforeEach(async () => {
    scene = {
      ...{ final: 5n, generation: 0, signed: true, forgotten: () => false, forked: false, revoked: false, depth: 2 },
      ...{ attested: new Map(), intents: new Map(), submitted: [] },
    };
    await db.query("DELETE FROM relay_headers");
    authorize = createProofAuthority({
      ...{ db, sender, log: quietLog, account: "relayer" },
      collect: async () => (scene.signed ? { epoch, signatures: [] } : { missing: ["two", "three"] }),
    });
  });

  const blockHash = (number: bigint) => hashOf(Number(number) + (scene.forked ? 9_000 : 1_000));
  const prove: ProveState = async ({ slots }, at) => {
    const number = at === "final" ? scene.final : at;
    if (scene.forgotten(number)) throw new LockstepError("chain-request-refused", "missing trie node");
    assert.deepEqual(slots, headSlots(2));
    const values = [accumulatorOf(number), numberToHex(number | (7n << 64n), { size: 32 })];
    const nodes = Array.from({ length: scene.depth }, (): Hex => `0x${"ab".repeat(532)}`);
    const header = { number, hash: blockHash(number), stateRoot: zeroHash, rlp: "0xc0" as Hex };
    return {
      ...{ header, block: header, address: gateway.alpha, account: undefined, accountProof: nodes },
      storage: slots.map((slot, n) => ({ slot, value: values[n] as Hex, proof: nodes })),
    } satisfies StateProof;
  };
  const call: Chain["call"] = async ({ to, data = "0x" }) => {
    if (to === oracle) {
      const { args } = decodeFunctionData({ abi: stateOracleAbi, data });
      const found = scene.attested.get((args as readonly bigint[])[1] ?? 0n);
      const result = { stateRoot: zeroHash, epoch: 1n, generation: 0, blockHash: zeroHash, ...found };
      return encodeFunctionResult({ abi: stateOracleAbi, functionName: "headerOf", result });
    }
    const result = [`0x${"00".repeat(26)}`, scene.revoked ? 0 : 2 ** 40 - 1, 0n] as const;
    return encodeFunctionResult({ abi: gatewayAbi, functionName: "epochInfo", result: result as never });
  };
  const sender = {
    submit: async (_tx: unknown, intents: readonly IntentRequest[]) => {
      for (const { id } of intents) scene.intents.set(id, { state: "queued" });
      scene.submitted.push(...intents);
    },
    find: async (_from: unknown, id: string) => scene.intents.get(id),
  } as unknown as Sender;
  const lane = {
    ...({
      origin: "alpha",
      destination: "beta",
      delivery: "proof",
      source: "file",
      state: "active",
      revision: 0n,
    } as const),
    from: { chain: { name: "alpha", chainId: 1 } as Chain, gateway: gateway.alpha, prove },
    to: { chain: { name: "beta", chainId: 2, call } as unknown as Chain, gateway: gateway.beta, stateOracle: oracle },
  };

  const ask = async (planned = planOf(1n, 3n)) => {
    const wanted = { generation: scene.generation, epochs: [epoch], planned, behind: [] };
    const answer = await authorize({ lane: lane as unknown as LaneEnds, ...wanted });
    return "missing" in answer ? answer.missing.code : answer.authority;
  };
  const authority = async (planned = planOf(1n, 3n)) => {
    const answer = await ask(planned);
    return typeof answer === "string" ? assert.fail(answer) : answer;
  };
  const attest = (number: bigint) => scene.attested.set(number, { blockHash: blockHash(number), generation: 0 });
  /** Height and attempt of the headers that were asked for. */
  const headers = () => scene.submitted.map(({ id }) => id.replace("lane-alpha→beta-header-0-", ""));
  const end = (status: IntentStatus) => scene.intents.set(scene.submitted.at(-1)!.id, status);

  it("begins with the newest final header, asked for once, and holds when the destination has it", async () => {
    assert.equal(await ask(), "awaiting-header");
    scene.final = 8n;
    assert.equal(await ask(), "awaiting-header");
    assert.deepEqual(headers(), ["5-1-1"]);
    attest(5n);
    const { nonce, epoch, encode } = await authority();
    assert.deepEqual([nonce, epoch], [3n, 1n]);
    const two = {
      sender: addressOf(1),
      recipient: addressOf(2),
      gasLimit: 1n,
      attributesHash: zeroHash,
      payload: "0x",
    };
    const { data, shape } = encode(1n, [two, two] as never);
    const { args } = decodeFunctionData({ abi: gatewayAbi, data });
    assert.deepEqual(args?.slice(0, 2), [1n, 5n]);
    assert.deepEqual(args?.at(-1), [3n, 4n, 5n].map(idOf), "it leads on to the message whose accumulator is proven");
    assert.equal(shape.laterIds, 3);
    assert.equal((await authority(planOf(4n, 4n))).nonce, 4n, "later messages need no other header");
    assert.equal(await ask(planOf(6n, 7n)), "awaiting-header", "messages after it do");
    assert.deepEqual(headers(), ["5-1-1", "8-1-1"]);
  });

  it("asks for no header without a quorum", async () => {
    scene.signed = false;
    assert.equal(await ask(), "awaiting-quorum");
    assert.deepEqual(headers(), []);
  });

  it("waits while the final block does not show the messages, or ends at their own block if it shows too many", async () => {
    scene.final = 2n;
    scene.forgotten = (block) => block === 3n;
    await assert.rejects(ask(), { code: "chain-request-refused" });
    scene.forgotten = () => false;
    scene.final = 70n;
    assert.equal(await ask(), "awaiting-header");
    assert.deepEqual(headers(), ["3-1-1"], "the service does not know all messages up to block 70");
  });

  it("asks again when the header's transaction ended without effect", async () => {
    await ask();
    end({ state: "abandoned", reason: "reverts", detail: "it would revert" });
    assert.equal(await ask(), "awaiting-header");
    end({ state: "included", hash: hashOf(1), status: "reverted", blockNumber: 1n });
    scene.final = 6n;
    assert.equal(await ask(), "awaiting-header");
    end({ state: "finalized", hash: hashOf(1), status: "success", blockNumber: 1n, gasUsed: 1n });
    assert.equal(await ask(), "awaiting-header", "an endpoint that lags behind the receipt");
    assert.deepEqual(headers(), ["5-1-1", "5-1-2", "6-1-1"]);
  });

  it("needs another header when the epoch was revoked or the lane realigned", async () => {
    await ask();
    attest(5n);
    scene.revoked = true;
    assert.equal(await ask(), "awaiting-header");
    scene.revoked = false;
    scene.attested.set(5n, { blockHash: blockHash(5n), generation: 1 });
    assert.equal(await ask(), "awaiting-header");
    assert.deepEqual(headers(), ["5-1-1", "5-1-2", "5-1-3"]);
    scene.attested.set(5n, { blockHash: blockHash(5n), generation: 0 });
    scene.generation = 1;
    assert.equal(await ask(), "awaiting-header");
    assert.equal(scene.submitted.length, 4);
  });

  it("stops at a destination that knows another header of the same block, and says so", async () => {
    await ask();
    scene.attested.set(5n, { blockHash: hashOf(77), generation: 0 });
    assert.equal(await ask(), "header-conflict");
    assert.equal(scene.submitted.length, 1);
  });

  it("takes a newer header when the node has forgotten the state of the attested one", async () => {
    await ask();
    attest(5n);
    scene.final = 9n;
    scene.forgotten = (block) => block === 5n;
    assert.equal(await ask(), "awaiting-header");
    assert.deepEqual(headers(), ["5-1-1", "9-1-1"]);
  });

  it("does not deliver under another block than the one that was attested", async () => {
    await ask();
    attest(5n);
    scene.forked = true;
    scene.attested.set(5n, { blockHash: hashOf(1_005), generation: 0 });
    await assert.rejects(ask(), { code: "chain-answer-invalid" });
  });

  it("takes fewer messages where the proof and the ids leave no room for all that were planned", async () => {
    Object.assign(scene, { final: 40n, depth: 28 });
    const planned = planOf(1n, 7n, 16_384);
    await ask(planned);
    attest(40n);
    const { nonce, encode } = await authority(planned);
    assert.ok(nonce < 7n && nonce > 4n, `up to ${nonce}`);
    const payload = `0x${"ff".repeat(16_384)}`;
    const large = { sender: addressOf(1), recipient: addressOf(2), gasLimit: 1n, attributesHash: hashOf(1), payload };
    const { data, shape } = encode(1n, Array.from({ length: Number(nonce) }, () => large) as never);
    assert.ok(size(data) <= calldataCap);
    assert.equal(shape.laterIds, 40 - Number(nonce));
  });
});
