import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { numberToHex } from "viem";
import type { Receipt } from "#core/chain/chain.ts";
import { type Attempt, type Flight, nextMove, reasonToVoid, sight } from "#core/sender/flight.ts";

const hashOf = (n: number) => numberToHex(n, { size: 32 });

const attemptOf = (kind: Attempt["kind"], n: number): Attempt => ({
  hash: hashOf(n),
  kind,
  fees: { maxFeePerGas: 100n, maxPriorityFeePerGas: 1n },
  sealed: Buffer.alloc(0),
});

const height = fc.bigInt({ min: 0n, max: 20n });
const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });

const flights: fc.Arbitrary<Flight> = fc
  .record({
    notAfter: maybe(fc.bigInt({ min: 0n, max: 100n })),
    calls: fc.integer({ min: 1, max: 3 }),
    voids: fc.nat(2),
    released: fc.boolean(),
    refused: fc.boolean(),
    included: maybe(height),
    sentAt: maybe(fc.nat(100_000)),
    sentAtHead: maybe(height),
    pricedAtHead: maybe(height),
    unpaidSince: maybe(fc.nat(100_000)),
    undecided: maybe(fc.record({ since: fc.nat(100_000) })),
    accepted: fc.boolean(),
    timed: fc.constant(undefined),
    declinedAt: maybe(fc.nat(100_000)),
    declinedFor: fc.nat(60_000),
  })
  .map(({ notAfter, calls, voids, refused, included, sentAt, unpaidSince, declinedAt, declinedFor, ...rest }) => ({
    intent: {
      ...{ id: "a", chain: "alpha", account: "alice", kind: "test", subject: "s", gas: 21_000n, dryRun: false },
      call: { to: "0x", data: "0x", value: 0n },
      ...(notAfter === undefined ? {} : { notAfter }),
    },
    ...{ place: 1n, nonce: 0, events: 0, ...rest },
    attempts: [
      ...Array.from({ length: calls }, (_, index) => attemptOf("call", index)),
      ...Array.from({ length: voids }, (_, index) => attemptOf("void", 10 + index)),
    ],
    voiding: voids > 0 || refused ? { reason: "refused", detail: "" } : undefined,
    included: included === undefined ? undefined : { hash: hashOf(0), blockNumber: included, status: "success" },
    sent: sentAt === undefined ? undefined : { at: sentAt },
    unpaid: unpaidSince === undefined ? undefined : { since: unpaidSince },
    declined: declinedAt === undefined ? undefined : { since: declinedAt - declinedFor, at: declinedAt, detail: "no" },
  }));

const moments = fc.record({
  now: fc.nat(120_000),
  head: height,
  lowest: fc.boolean(),
  followed: fc.boolean(),
  pressing: fc.boolean(),
  freshMaxFee: fc.bigInt({ min: 1n, max: 200n }),
  resendMs: fc.constant(1_000),
});

describe("what a flight needs", () => {
  it("is never to send a call for the first time after its time, nor one that is being voided", () => {
    fc.assert(
      fc.property(flights, moments, (flight, moment) => {
        const move = nextMove(flight, moment);
        if (move !== "send" && move !== "raise") return;
        if (flight.attempts.at(-1)?.kind === "void") return;
        assert.equal(flight.voiding, undefined);
        const late =
          flight.intent.notAfter !== undefined && BigInt(Math.floor(moment.now / 1_000)) > flight.intent.notAfter;
        assert.ok(flight.released || !late);
      }),
      { numRuns: 1_000 },
    );
  });

  it("is nothing while it is in a block", () => {
    fc.assert(
      fc.property(flights, moments, (flight, moment) => {
        if (flight.included !== undefined) assert.equal(nextMove(flight, moment), "wait");
      }),
    );
  });

  it("is never to void a call whose bytes may have left, unless that was decided before", () => {
    fc.assert(
      fc.property(flights, moments, (flight, moment) => {
        if (flight.released && flight.voiding === undefined) assert.notEqual(nextMove(flight, moment), "void");
      }),
    );
  });

  it("is to void what cannot be paid and is not late only once others wait behind it, and no byte is out", () => {
    fc.assert(
      fc.property(flights, moments, (flight, moment) => {
        if (flight.voiding !== undefined || nextMove(flight, moment) !== "void") return;
        if (reasonToVoid(flight, moment.now).reason !== "unpayable") return;
        assert.ok(moment.followed && !flight.released && flight.unpaid !== undefined);
        assert.ok(moment.now - flight.unpaid.since >= moment.resendMs);
      }),
      { numRuns: 1_000 },
    );
  });

  it("is to void what no node takes only after long, once others wait behind it, and no byte is out", () => {
    fc.assert(
      fc.property(flights, moments, (flight, moment) => {
        if (flight.voiding !== undefined || nextMove(flight, moment) !== "void") return;
        if (reasonToVoid(flight, moment.now).reason !== "refused") return;
        assert.ok(moment.followed && !flight.released && flight.declined !== undefined);
        const since = flight.unpaid === undefined ? flight.declined.since : flight.unpaid.since;
        assert.ok(moment.now - since >= (flight.unpaid === undefined ? 30 : 1) * moment.resendMs);
      }),
      { numRuns: 1_000 },
    );
  });

  it("is not to ask again at once a node that refused it, nor to send what comes after", () => {
    fc.assert(
      fc.property(flights, moments, (flight, moment) => {
        if (flight.declined === undefined || moment.now - flight.declined.at >= moment.resendMs) return;
        assert.ok(!["send", "raise"].includes(nextMove(flight, moment)));
      }),
    );
  });

  it("is a higher price only after two blocks, near a deadline after one", () => {
    fc.assert(
      fc.property(flights, moments, (flight, moment) => {
        if (nextMove(flight, moment) !== "raise") return;
        assert.ok(
          flight.pricedAtHead !== undefined && moment.head - flight.pricedAtHead >= (moment.pressing ? 1n : 2n),
        );
      }),
    );
  });
});

describe("what receipts say of a flight", () => {
  it("ends it only at or below the final height, whichever attempt it was", () => {
    const receipts = fc.record({ of: fc.constantFrom(0, 1, 10), at: height }).map(
      ({ of, at }): Receipt => ({
        ...{ transactionHash: hashOf(of), blockNumber: at, blockHash: hashOf(99), gasUsed: 1n, status: "success" },
      }),
    );
    fc.assert(
      fc.property(flights, maybe(receipts), height, (flight, receipt, final) => {
        const found = new Map(receipt === undefined ? [] : [[receipt.transactionHash, receipt]]);
        const ours = receipt !== undefined && flight.attempts.some(({ hash }) => hash === receipt.transactionHash);
        const seen = sight(flight, found, final);
        assert.equal(seen.kind === "ended", ours && receipt.blockNumber <= final);
        assert.equal(seen.kind === "dropped", !ours && flight.included !== undefined);
      }),
    );
  });
});
