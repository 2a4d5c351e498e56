import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Approver, Decision } from "#swap/brakes/approver.ts";
import { createAsking } from "#swap/brakes/asking.ts";
import type { Decisions } from "#swap/brakes/decisions.ts";
import { foldSwap, type Swap } from "#swap/swap.ts";
import { quietLog } from "#test/support/databases.ts";
import { until } from "#test/support/until.ts";
import { requested, stored } from "#test/swap/samples.ts";

function swapOf(id: string): Swap {
  const swap = foldSwap(stored(requested));
  assert.ok(swap);
  return { ...swap, id };
}

/** An approver that answers when it is told to. */
function open(write: () => Promise<void> = async () => undefined) {
  const clock = { ms: 0, now: () => clock.ms, sleep: async () => undefined };
  const asked: { swap: string; signal: AbortSignal; answer(decision: Decision): void }[] = [];
  const approver: Approver = {
    by: "hook",
    decide: ({ swap }, signal) =>
      new Promise((resolve) => {
        asked.push({ swap, signal, answer: resolve });
        signal.addEventListener("abort", () => resolve({ decision: "accept" }));
      }),
  };
  const written: string[] = [];
  const keep = (verb: string) => async (id: string) => {
    await write();
    written.push(`${verb} ${id}`);
  };
  const decisions: Decisions = { approve: keep("approve"), reject: keep("reject") };
  const asking = createAsking({ approver, decisions, clock, log: quietLog });
  const ask = (id: string) => asking.ask(swapOf(id), "lock-source");
  const words = (id: string) => asking.lastWords(id, "lock-source");
  const told = async (id: string, decision: Decision) => {
    const last = asked.filter(({ swap }) => swap === id).at(-1);
    assert.ok(last);
    last.answer(decision);
    await new Promise(setImmediate);
  };
  return { clock, asked, written, asking, ask, words, told };
}

const hold = (reason: string): Decision => ({ decision: "hold", reason });

describe("asking about locks", () => {
  it("asks once at a time, and writes what was decided", async () => {
    const { ask, asked, told, written } = open();
    for (const id of ["1", "1", "2", "3"]) ask(id);
    assert.deepEqual(
      asked.map(({ swap }) => swap),
      ["1", "2", "3"],
    );
    await told("2", { decision: "accept" });
    await told("1", { decision: "reject", reason: "no" });
    assert.deepEqual(written, ["approve 2", "reject 1"], "the one that is silent holds up nobody");
  });

  it("asks again after a hold with growing delays, up to a minute", async () => {
    const { clock, ask, asked, told, words } = open();
    const delays: number[] = [];
    for (let asks = 1; asks <= 6; asks++) {
      ask("1");
      await told("1", hold(`no ${asks}`));
      assert.equal(words("1"), `no ${asks}`);
      const from = clock.ms;
      while (asked.length === asks) {
        clock.ms += 1_000;
        ask("1");
      }
      delays.push((clock.ms - from) / 1_000);
    }
    assert.deepEqual(delays, [5, 10, 20, 40, 60, 60]);
  });

  it("asks about a bounded number at a time, and about the others as places get free", async () => {
    const { ask, asked, told } = open();
    for (let i = 0; i < 40; i++) ask(String(i));
    assert.equal(asked.length, 16);
    await told("3", { decision: "accept" });
    assert.equal(asked.length, 17);
    await told("16", hold("later"));
    assert.equal(asked.length, 18);
  });

  it("asks again when a decision could not be written", async () => {
    const { clock, ask, asked, told, written } = open(async () => {
      throw new LockstepError("database-unreachable", "gone");
    });
    ask("1");
    await told("1", { decision: "accept" });
    assert.deepEqual(written, []);
    ask("1");
    assert.equal(asked.length, 1);
    clock.ms += 5_000;
    ask("1");
    assert.equal(asked.length, 2);
  });

  it("takes back what it asks when it is stopped, and writes nothing then", async () => {
    const { asking, ask, asked, written } = open();
    for (let i = 0; i < 20; i++) ask(String(i));
    await until(() => asked.length === 16);
    await asking.stop();
    assert.ok(asked.every(({ signal }) => signal.aborted));
    assert.deepEqual([asked.length, written.length], [16, 0]);
  });
});
