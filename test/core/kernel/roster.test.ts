import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createLive, mapLive } from "#core/kernel/live.ts";
import { createRoster } from "#core/kernel/roster.ts";
import { until } from "../../support/until.ts";

type Value = { readonly version: number };

function world() {
  const told: string[] = [];
  const live = createLive<Value>(new Map([["a", { version: 1 }]]));
  let release: () => void = () => undefined;
  const roster = createRoster({
    live,
    create: ({ version }: Value, name) => ({
      start: () => void told.push(`start ${name}${version}`),
      stop: async () => {
        if (name === "slow") await new Promise<void>((resolve) => (release = resolve));
        told.push(`stop ${name}${version}`);
        if (name === "bad") throw new Error("it does not stop");
      },
    }),
    keeps: (_, before, after) => before.version === after.version,
    onError: (_, name) => void told.push(`error ${name}`),
  });
  const set = (values: Record<string, number>) =>
    live.set(new Map(Object.entries(values).map(([name, version]) => [name, { version }])));
  return { told, roster, set, release: () => release() };
}

describe("a roster", () => {
  it("starts, keeps, replaces and stops parts as what they are for comes, stays, changes and goes", async () => {
    const { told, roster, set } = world();
    set({ a: 1 });
    assert.equal(told.length, 0);
    await roster.start();
    const kept = roster.get("a");
    set({ a: 1, b: 1 });
    await until(() => told.includes("start b1"));
    assert.equal(roster.get("a"), kept);
    set({ a: 2 });
    await until(() => told.includes("start a2") && told.includes("stop b1"));
    assert.ok(told.indexOf("stop a1") < told.indexOf("start a2"), "never two of one name");
    assert.equal(roster.all().length, 1);
    await roster.stop();
    assert.equal(told.at(-1), "stop a2");
    set({ a: 3 });
    assert.ok(!told.includes("start a3"));
  });

  it("follows to the last state when much changes while a part is slow to stop", async () => {
    const { told, roster, set, release } = world();
    await roster.start();
    set({ slow: 1 });
    await until(() => told.includes("start slow1"));
    set({ slow: 2 });
    set({});
    set({ slow: 4 });
    await new Promise(setImmediate);
    release();
    await until(() => told.includes("start slow4"));
    assert.ok(!told.includes("start slow2"));
  });

  it("goes on without a part that fails to stop", async () => {
    const { told, roster, set } = world();
    await roster.start();
    set({ bad: 1 });
    await until(() => told.includes("start bad1"));
    set({ good: 1 });
    await until(() => told.includes("start good1"));
    assert.ok(told.includes("error bad"));
  });
});

describe("a view of what is live", () => {
  it("changes only where the value did, and leaves out what it answers nothing for", () => {
    const live = createLive<Value>(new Map([["a", { version: 1 }]]));
    const view = mapLive(live, ({ version }) => (version === 0 ? undefined : { double: 2 * version }));
    const before = view.get("a");
    assert.deepEqual(before, { double: 2 });
    assert.equal(view.get("a"), before);
    live.set(
      new Map([
        ["a", { version: 0 }],
        ["b", { version: 2 }],
      ]),
    );
    assert.deepEqual(view.entries(), [["b", { double: 4 }]]);
  });
});
