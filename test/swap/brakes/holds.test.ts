import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { getAddress } from "viem";
import { type ApprovalConfig, approvalConfigSchema } from "#core/config/approval.ts";
import { type ApprovalPolicy, createApprovalPolicy } from "#swap/brakes/approval.ts";
import { holdOf } from "#swap/brakes/brakes.ts";
import { approval, rejection } from "#swap/brakes/decisions.ts";
import type { Halt } from "#swap/brakes/halts.ts";
import { covers, exposureOf, type Scope } from "#swap/brakes/scope.ts";
import type { Deadlines } from "#swap/deadlines.ts";
import type { Asset, SwapEvent } from "#swap/events.ts";
import { nextAction } from "#swap/nextAction.ts";
import { statusOf } from "#swap/status.ts";
import { foldSwap } from "#swap/swap.ts";
import {
  approved,
  detected,
  givenUp,
  hexOf,
  locked,
  refunded,
  refundFinal,
  requested,
  requestedBy,
  revealStarted,
  signed,
  started,
  stored,
} from "#test/swap/samples.ts";

const deadlines: Deadlines = { sourceLockBy: 600n, counterLockBy: 700n, revealBy: 800n, sourceClaimUntil: 2_005n };
const sourceLocked = [requested, started("lock-source"), detected("source"), locked("source")];
const bothLocked = [...sourceLocked, started("lock-target"), detected("target"), locked("target")];
const policyOf = (config: unknown): ApprovalPolicy =>
  createApprovalPolicy(approvalConfigSchema.parse(config) as ApprovalConfig);
const accept = policyOf({ mode: "accept" });
const ask = policyOf({ mode: "hold" });
const halt = (scope: Scope, reason = "drill"): Halt => ({ ...scope, id: "1", reason, since: new Date(0) });

const swapAfter = (...events: readonly SwapEvent[]) => {
  const swap = foldSwap(stored(...events));
  assert.ok(swap);
  return swap;
};

/** What is done next under these halts and this policy. */
function next(events: readonly SwapEvent[], { halts = [] as Halt[], policy = accept, now = 500n } = {}): string {
  const swap = swapAfter(...events);
  const action = nextAction(swap, deadlines, now, holdOf(halts, policy, swap));
  return action.kind === "step" ? action.step : action.kind === "wait" ? action.code : action.kind;
}

const erc20 = (digit: string): Asset => ({ type: "erc20", address: hexOf(digit, 20) });
const nft = (tokenId: bigint): Asset => ({ type: "erc721", address: hexOf("e", 20), tokenId });

describe("what a halt covers", () => {
  const parties = {
    initiator: { account: "alice", address: hexOf("a", 20) },
    counterparty: { account: "bob", address: hexOf("b", 20) },
  };
  const exposed = (source: Asset, target: Asset) =>
    exposureOf({
      ...parties,
      terms: { source: { chain: "alpha", asset: source }, target: { chain: "beta", asset: target } },
    });
  const swap = exposed({ type: "native" }, erc20("d"));
  const isCovered = (scope: Scope, exposure = swap) => covers(scope, exposure);

  it("is everything, or whatever touches the account, the chain or the asset that it names", () => {
    assert.ok(isCovered({}));
    assert.deepEqual(
      [isCovered({ account: "alice" }), isCovered({ account: "bob" }), isCovered({ account: "carol" })],
      [true, true, false],
    );
    assert.deepEqual(
      [isCovered({ chain: "alpha" }), isCovered({ chain: "beta" }), isCovered({ chain: "gamma" })],
      [true, true, false],
    );
    assert.ok(isCovered({ chain: "alpha", asset: { type: "native" } }));
    assert.ok(!isCovered({ chain: "beta", asset: { type: "native" } }), "the coin of the other chain is another asset");
    assert.ok(isCovered({ chain: "beta", asset: { type: "erc20", address: hexOf("d", 20) } }));
    assert.ok(!isCovered({ chain: "alpha", asset: { type: "erc20", address: hexOf("d", 20) } }));
    assert.ok(!isCovered({ chain: "beta", asset: { type: "erc20", address: hexOf("f", 20) } }));
  });

  it("is a contract by its address, whatever standard a request says it follows, and one token where one is named", () => {
    const item = exposed({ type: "native" }, nft(7n));
    const address = hexOf("e", 20);
    assert.ok(isCovered({ chain: "beta", asset: { type: "erc721", address } }, item));
    assert.ok(isCovered({ chain: "beta", asset: { type: "erc721", address, tokenId: 7n } }, item));
    assert.ok(!isCovered({ chain: "beta", asset: { type: "erc721", address, tokenId: 8n } }, item));
    assert.ok(isCovered({ chain: "beta", asset: { type: "erc20", address } }, item));
    assert.ok(isCovered({ chain: "beta", asset: { type: "erc1155", address } }, item));
  });

  it("is an account that pays for what an external party signed, and none that is paid only", () => {
    const external = { source: hexOf("a", 20), target: hexOf("a", 20) };
    const terms = { source: { chain: "alpha", asset: erc20("d") }, target: { chain: "beta", asset: erc20("d") } };
    const paid = exposureOf({ initiator: external, counterparty: parties.counterparty, payer: "dave", terms });
    assert.deepEqual(paid.accounts, ["dave", "bob"]);
    assert.deepEqual(exposureOf({ initiator: external, counterparty: external, terms }).accounts, []);
  });
});

describe("a swap under a halt", () => {
  const everything = [halt({})];

  it("locks nothing, of either leg", () => {
    assert.equal(next([requested], { halts: everything }), "halted");
    assert.equal(next(sourceLocked, { halts: everything }), "halted");
  });

  it("claims and refunds as ever", () => {
    assert.equal(next(bothLocked, { halts: everything }), "claim-target");
    assert.equal(next(bothLocked, { halts: everything, now: 1_000n }), "refund-target");
    assert.equal(next(sourceLocked, { halts: everything, now: 2_000n }), "refund-source");
    assert.equal(next([...sourceLocked, givenUp], { halts: everything }), "agree");
  });

  it("is given up when its deadline has passed", () => {
    assert.equal(next([requested], { halts: everything, now: 600n }), "halted");
    assert.equal(next([requested], { halts: everything, now: 601n }), "giveUp");
    assert.equal(next(sourceLocked, { halts: everything, now: 701n }), "giveUp");
  });

  it("is not held for an account that has locked already, but for one that would lock later", () => {
    const alices = [halt({ account: "alice" })];
    assert.equal(next([requested], { halts: alices }), "halted");
    assert.equal(next(sourceLocked, { halts: alices }), "lock-target");
    assert.equal(next([requested], { halts: [halt({ account: "bob" })] }), "halted");
  });

  it("is held for the chain and the asset of a leg that is locked", () => {
    assert.equal(next(sourceLocked, { halts: [halt({ chain: "alpha" })] }), "halted");
    assert.equal(next(sourceLocked, { halts: [halt({ chain: "alpha", asset: { type: "native" } })] }), "halted");
  });

  it("does not ask an external party for its lock, nor send what it signed", () => {
    const external = requestedBy("initiator");
    assert.equal(next([external]), "awaiting-initiator");
    assert.equal(next([external], { halts: everything }), "halted");
    const withSignature = [external, signed("source", "lock", 590n)];
    assert.equal(next(withSignature), "lock-source");
    assert.equal(next(withSignature, { halts: [halt({ account: "bob" })] }), "halted");
  });
});

describe("a lock that has to be approved", () => {
  it("waits for its own approval", () => {
    assert.equal(next([requested], { policy: ask }), "awaiting-approval");
    assert.equal(next([requested, approved("lock-target")], { policy: ask }), "awaiting-approval");
    assert.equal(next([requested, approved("lock-source")], { policy: ask }), "lock-source");
    assert.equal(next([...sourceLocked, approved("lock-source")], { policy: ask }), "awaiting-approval");
    assert.equal(next([...sourceLocked, approved("lock-target")], { policy: ask }), "lock-target");
  });

  it("is given up when its deadline passes first", () => {
    assert.equal(next([requested], { policy: ask, now: 601n }), "giveUp");
  });

  it("waits for a halt to be lifted too, approved or not", () => {
    assert.equal(next([requested, approved("lock-source")], { policy: ask, halts: [halt({})] }), "halted");
  });

  it("is a managed account's; nobody decides over external parties' own", () => {
    assert.equal(next([requestedBy("initiator")], { policy: ask }), "awaiting-initiator");
    assert.equal(next([requestedBy("initiator"), signed("source", "lock", 590n)], { policy: ask }), "lock-source");
  });

  it("is one of an amount from which it is asked about, to the unit", () => {
    const from = (amount: string) => policyOf({ mode: "hold", askFrom: { alpha: { native: amount } } });
    assert.equal(next([requested], { policy: from("6") }), "lock-source");
    assert.equal(next([requested], { policy: from("5") }), "awaiting-approval");
    assert.equal(next(sourceLocked, { policy: from("6") }), "awaiting-approval", "beta's coin is not named");
    const address = getAddress(hexOf("d", 20));
    const tokens = policyOf({ mode: "hold", askFrom: { alpha: { [hexOf("d", 20)]: "9" } } });
    const terms = {
      chain: "alpha",
      asset: { type: "erc20", address },
    } as const;
    assert.equal(tokens.asksAbout({ ...terms, amount: 8n }), false);
    assert.equal(tokens.asksAbout({ ...terms, amount: 9n }), true);
  });

  it("stays approved when the lock is reorganised out, and when an attempt fails", () => {
    const swap = swapAfter(requested, approved("lock-source"), started("lock-source"), detected("source"));
    assert.deepEqual(swap.approved, ["lock-source"]);
  });
});

describe("the word of an operator", () => {
  const byOperator = { by: "operator" };
  const types = (events: readonly SwapEvent[]) =>
    events.map(({ type, data }) => ("step" in data ? `${type} ${data.step}` : type));

  it("approves all locks that are still to be made, or one", () => {
    assert.deepEqual(types(approval(ask, swapAfter(requested), byOperator)), [
      "SwapApproved lock-source",
      "SwapApproved lock-target",
    ]);
    assert.deepEqual(types(approval(ask, swapAfter(requested), { ...byOperator, step: "lock-target" })), [
      "SwapApproved lock-target",
    ]);
    assert.deepEqual(types(approval(ask, swapAfter(...sourceLocked), byOperator)), ["SwapApproved lock-target"]);
  });

  it("says nothing twice", () => {
    const both = swapAfter(requested, approved("lock-source"), approved("lock-target"));
    assert.deepEqual(approval(ask, both, byOperator), []);
    const rejected = swapAfter(requested, ...rejection(swapAfter(requested), byOperator));
    assert.deepEqual(rejection(rejected, byOperator), []);
  });

  it("is refused where nothing waits for it", () => {
    const refused = { code: "swap-not-waiting" };
    assert.throws(() => approval(accept, swapAfter(requested), byOperator), refused);
    assert.throws(() => approval(ask, swapAfter(...bothLocked), byOperator), refused);
    assert.throws(() => approval(ask, swapAfter(requested, givenUp), byOperator), refused);
    assert.throws(() => rejection(swapAfter(...bothLocked), byOperator), refused);
    assert.throws(() => rejection(swapAfter(...bothLocked, revealStarted), byOperator), refused);
    assert.throws(() => rejection(swapAfter(requested, givenUp), byOperator), refused);
    assert.throws(() => rejection(swapAfter(requestedBy("initiator", "counterparty")), byOperator), refused);
    assert.throws(() => rejection(swapAfter(...sourceLocked), { ...byOperator, step: "lock-source" }), refused);
  });

  it("gives a swap up when it rejects, and the recipient of what is locked lets it be refunded at once", () => {
    const unlocked = [requested, ...rejection(swapAfter(requested), { ...byOperator, reason: "not this one" })];
    assert.equal(swapAfter(...unlocked).givenUp?.code, "rejected");
    assert.match(
      swapAfter(...unlocked).givenUp?.detail ?? "",
      /lock-source was rejected by the operator: not this one/,
    );
    assert.equal(next(unlocked), "ended");
    assert.equal(statusOf(swapAfter(...unlocked), 500n), "failed");
    const half = [...sourceLocked, ...rejection(swapAfter(...sourceLocked), byOperator)];
    assert.equal(next(half), "agree");
    assert.equal(statusOf(swapAfter(...half), 500n), "refunding");
    assert.equal(statusOf(swapAfter(...half, refunded("source"), refundFinal("source")), 500n), "refunded");
  });
});
