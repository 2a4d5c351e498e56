import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { zeroHash } from "viem";
import type { LogFilter } from "#core/chain/chain.ts";
import { createAssurance } from "#core/indexer/assurance.ts";
import type { ChainObserver } from "#core/indexer/observer.ts";
import { createSpanReader } from "#core/indexer/spans.ts";
import type { IndexState } from "#core/indexer/tables.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { quietLog } from "../../support/databases.ts";
import { address, createModelChain } from "./modelChain.ts";

const named: Hex = `0x${"ab".repeat(32)}`;
const missing = new LockstepError("logs-missing", "one is missing", { details: { after: 3n } });

function open(check: NonNullable<ChainObserver["check"]>) {
  const clock: Clock & { ms: number } = { ms: 0, now: () => clock.ms, sleep: async () => undefined };
  const { chain } = createModelChain([], 0);
  const asked: bigint[] = [];
  const events: (readonly Hex[] | undefined)[] = [];
  const watched = {
    ...chain,
    logs: async (filter: LogFilter) => {
      asked.push(filter.fromBlock);
      events.push(filter.events);
      return [];
    },
  };
  const reader = createSpanReader({ chain: watched, logWindow: 100, pauseMs: 1, clock, log: quietLog });
  const nothing = async () => undefined;
  const observer = {
    ...{ addresses: () => [address], included: nothing, reorged: nothing, finalized: nothing, check },
    secondLook: [named],
  };
  const assurance = createAssurance({
    ...{ chain: watched, reader, observers: [observer], log: quietLog, logWindow: 100, clock },
    ...{ everyMs: 1_000, startBlock: 0n, commit: async (_from, to) => to },
  });
  const state = (final: bigint, checked = final): IndexState => ({
    ...{ genesis: zeroHash, final, checked, revision: 1n, known: [{ number: final, hash: zeroHash, logs: [] }] },
  });
  return {
    assurance,
    asked,
    events,
    /** So many milliseconds later. */
    async look(ms: number, final: bigint, caughtUp = true, checked = final) {
      clock.ms += ms;
      await assurance.look(state(final, checked), caughtUp);
    },
  };
}

describe("assurance", () => {
  it("compares each final block once, at intervals, and not while catching up", async () => {
    const finals: bigint[] = [];
    const { look, assurance } = open(async (_chain, final) => finals.push(final) > 0);
    await look(999, 5n);
    assert.deepEqual(finals, []);
    await look(1, 5n, false);
    assert.deepEqual(finals, []);
    for (let times = 0; times < 5; times++) await look(1_000, 5n);
    assert.deepEqual(finals, [5n]);
    await look(10, 6n);
    await look(990, 7n);
    assert.deepEqual([finals, assurance.verified()], [[5n, 7n], 7n]);
  });

  it("looks again at the same block until another chain has come far enough", async () => {
    let answers = [false, false, true];
    const { look, assurance } = open(async () => {
      const [answer = true, ...rest] = answers;
      answers = rest;
      return answer;
    });
    await look(1_000, 5n);
    await look(1_000, 5n);
    assert.equal(assurance.verified(), undefined);
    await look(1_000, 5n);
    assert.equal(assurance.verified(), 5n);
  });

  it("reads again from where logs are missing, never falls silent about it, and is well when they turn up", async () => {
    let lost = true;
    const { look, assurance, asked } = open(async () => {
      if (lost) throw missing;
      return true;
    });
    await look(1_000, 5n);
    assert.equal(assurance.trouble()?.code, "logs-missing");
    assert.deepEqual(asked, []);
    // The first time at once, then at intervals.
    await look(0, 5n);
    assert.deepEqual(asked, [3n]);
    await look(999, 5n);
    assert.deepEqual(asked, [3n]);
    for (let times = 0; times < 25; times++) await look(1_000, 5n);
    assert.equal(assurance.trouble()?.code, "lane-broken");
    const before = asked.length;
    await look(1_000, 5n);
    assert.equal(asked.length, before, "what has not helped for long comes more rarely");
    lost = false;
    await look(12_000, 5n);
    assert.deepEqual([assurance.trouble(), assurance.verified()], [undefined, 5n]);
  });

  it("reads nothing again for what is from before the block where reading began, and says so", async () => {
    const early = new LockstepError("start-block-too-high", "lower it");
    let lowered = false;
    const { look, assurance, asked } = open(async () => {
      if (!lowered) throw early;
      return true;
    });
    for (let times = 0; times < 5; times++) await look(1_000, 5n);
    assert.deepEqual([assurance.trouble(), asked], [early, []]);
    lowered = true;
    await look(12_000, 5n);
    assert.deepEqual([assurance.trouble(), assurance.verified()], [undefined, 5n]);
  });

  it("looks a second time for everything but where checks work", async () => {
    let answers = false;
    const { look, events } = open(async () => {
      if (!answers) throw new LockstepError("chain-request-refused", "missing trie node");
      return true;
    });
    await look(1_000, 5n, true, 4n);
    await look(1_000, 6n, true, 5n);
    assert.deepEqual(events, [undefined, undefined]);
    answers = true;
    await look(1_000, 6n);
    await look(1_000, 7n, true, 6n);
    assert.deepEqual(events.slice(2), [[named]]);
    answers = false;
    await look(1_000, 8n);
    await look(1_000, 9n, true, 8n);
    assert.deepEqual(events.slice(3), [undefined]);
  });

  it("goes on when the chain does not answer for that block, or its endpoints do not agree about it", async () => {
    let answers = false;
    let code: "chain-request-refused" | "chain-no-agreement" = "chain-request-refused";
    const { look, assurance } = open(async () => {
      if (!answers) throw new LockstepError(code, "missing trie node");
      return true;
    });
    await look(1_000, 5n);
    assert.deepEqual([assurance.verified(), assurance.trouble()], [undefined, undefined]);
    code = "chain-no-agreement";
    await look(1_000, 5n);
    assert.deepEqual([assurance.verified(), assurance.trouble()], [undefined, undefined]);
    answers = true;
    await look(1_000, 5n);
    assert.equal(assurance.verified(), 5n);
  });

  it("passes on what is wrong with more than what a node shows", async () => {
    const { look } = open(async () => {
      throw new LockstepError("database-unreachable", "gone");
    });
    await assert.rejects(look(1_000, 5n), { code: "database-unreachable" });
  });
});
