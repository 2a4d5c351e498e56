import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { describe, it } from "node:test";
import { coalesce } from "#core/kernel/coalesce.ts";
import { gather, togetherOrAlone } from "#core/kernel/gather.ts";

describe("what is gathered", () => {
  const rounds: string[][] = [];
  const open = (most = 10) => {
    rounds.length = 0;
    const gates: (() => void)[] = [];
    const add = gather<string, string>(
      togetherOrAlone(async (items) => {
        rounds.push([...items]);
        await new Promise<void>((resolve) => gates.push(resolve));
        if (items.includes("bad")) throw new Error("bad");
        return items.map((item) => item.toUpperCase());
      }),
      most,
    );
    const pass = async () => {
      await new Promise(setImmediate);
      gates.shift()?.();
      await new Promise(setImmediate);
    };
    return { add, pass };
  };

  it("goes at once when nothing is under way, and together with what came meanwhile", async () => {
    const { add, pass } = open();
    const first = add("a");
    await new Promise(setImmediate);
    const rest = [add("b"), add("c")];
    assert.deepEqual(rounds, [["a"]]);
    await pass();
    await pass();
    assert.deepEqual(await Promise.all([first, ...rest]), ["A", "B", "C"]);
    assert.deepEqual(rounds, [["a"], ["b", "c"]]);
  });

  it("is no more at a time than the most", async () => {
    const { add, pass } = open(2);
    const all = ["a", "b", "c"].map(add);
    await pass();
    await pass();
    assert.deepEqual(await Promise.all(all), ["A", "B", "C"]);
    assert.deepEqual(rounds, [["a", "b"], ["c"]]);
  });

  it("fails alone", async () => {
    const { add, pass } = open();
    const all = Promise.allSettled(["a", "bad", "c"].map(add));
    for (let i = 0; i < 4; i++) await pass();
    assert.deepEqual(
      (await all).map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    assert.deepEqual(rounds, [["a", "bad", "c"], ["a"], ["bad"], ["c"]]);
  });
});

it("is worked for in the context of who gathers, and goes on in that of who asked", async () => {
  const context = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  const add = gather<string, string>(async (items) => {
    seen.push(context.getStore());
    await new Promise(setImmediate);
    return items.map((value) => ({ status: "fulfilled", value }));
  }, 1);
  const askIn = (name: string) =>
    context.run(name, async () => {
      await add(name);
      return context.getStore();
    });
  assert.deepEqual(await Promise.all(["one", "two"].map(askIn)), ["one", "two"]);
  assert.deepEqual(seen, [undefined, undefined]);
});

describe("coalesced work", () => {
  it("is never done twice at a time for one key, and once more for all who asked meanwhile", async () => {
    const begun: string[] = [];
    const gates: PromiseWithResolvers<void>[] = [];
    const work = coalesce((key) => {
      begun.push(key);
      const gate = Promise.withResolvers<void>();
      gates.push(gate);
      return gate.promise;
    });
    const first = work("a");
    const others = [work("a"), work("a"), work("b")];
    assert.deepEqual(begun, ["a", "b"]);
    gates[0]?.reject(new Error("fails for who asked for it only"));
    await assert.rejects(first);
    await new Promise(setImmediate);
    assert.deepEqual(begun, ["a", "b", "a"]);
    for (const gate of gates) gate.resolve();
    await Promise.all(others);
    const later = work("a");
    assert.deepEqual(begun, ["a", "b", "a", "a"]);
    gates.at(-1)?.resolve();
    await later;
  });
});
