import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { patienceMs, processCount, toJobs } from "./jobs.ts";
import { type Summary, spread } from "./spread.ts";

const cli = createRequire(import.meta.url)
  .resolve("hardhat/package.json")
  .replace("package.json", "dist/src/cli.js");
const begin = `import { before, describe, it } from "node:test";\n`;

/** A file of tests for every way in which one can end. Their names say what they do. */
const files: Readonly<Record<string, string>> = {
  hanging: `${begin} it("passes", () => {}); it("hangs", () => new Promise(() => setInterval(() => {}, 1_000)));`,
  leaking: `${begin} it("passes", () => { setInterval(() => {}, 1_000); });`,
  mixed: `${begin} it("passes", () => {}); it("fails", () => { throw new Error("no good"); });
    it("is skipped", { skip: "for a reason" }, () => {}); it("is to do", { todo: true }, () => {});`,
  unprepared: `${begin} it("passes", () => {});
    describe("suite", () => { before(() => { throw new Error("no ground"); }); it("cannot run", () => {}); });`,
  leaving: `${begin} it("passes", () => {}); it("leaves", () => process.exit(0)); it("is never run", () => {});`,
  rejecting: `${begin} it("passes", () => { setTimeout(() => Promise.reject(new Error("unheard")), 50); });
    process.once("beforeExit", () => setTimeout(() => {}, 200));`,
  lingering: `${begin} it("passes", () => {}); process.once("beforeExit", () => setInterval(() => {}, 1_000));`,
  broken: `throw new Error("no file of tests");`,
  good: `${begin} it("passes", () => {}); it("passes again", () => {});`,
};

describe("tests spread over processes", () => {
  const folder = mkdtempSync(join(tmpdir(), "lockstep-spread-"));
  const of = new Map<string, Summary>();
  const printed: string[] = [];
  let all: Summary;
  before(async () => {
    const job = (name: string) => {
      const file = join(folder, `${name}.test.mjs`);
      writeFileSync(file, files[name] ?? "");
      return { name, files: [file] };
    };
    all = await spread(Object.keys(files).map(job), {
      processes: 3,
      command: [cli, "test", "nodejs", "--no-compile"],
      patienceMs: 20_000,
      closingMs: 2_000,
      print: (text) => printed.push(text),
      onEnd: ({ name }, summary) => of.set(name, summary),
    });
  });
  after(() => rmSync(folder, { recursive: true }));

  const counts = (name: string) => {
    const { passed, failed, skipped, todo } = of.get(name) ?? assert.fail(name);
    return { passed, failed, skipped, todo };
  };
  const why = (name: string) => of.get(name)?.failureOutput ?? "";
  const none = { passed: 0, failed: 0, skipped: 0, todo: 0 };

  it("count what passed, failed, was skipped and is to do", () => {
    assert.deepEqual(counts("mixed"), { passed: 1, failed: 1, skipped: 1, todo: 1 });
    assert.match(why("mixed"), /no good/);
    assert.deepEqual(of.get("good"), { ...none, passed: 2, failureOutput: "" });
  });

  it("fail with a suite that could not be set up", () => {
    assert.ok(counts("unprepared").failed > 0);
    assert.match(why("unprepared"), /no ground/);
  });

  it("fail with a file that ends the process, even as if all were well", () => {
    assert.deepEqual(counts("leaving"), { ...none, failed: 1 });
    assert.match(why("leaving"), /leaving ended with status 0, before its tests were through/);
  });

  it("fail with an error that nobody heard, and with a file that cannot be read", () => {
    assert.ok(counts("rejecting").failed > 0);
    assert.ok(counts("broken").failed > 0);
  });

  it("do not wait for ever for a test, or for what one left open, and say so", () => {
    for (const name of ["hanging", "leaking"]) {
      assert.deepEqual(counts(name), { ...none, failed: 1 });
      assert.match(why(name), /(hanging|leaking) was killed after 20 s without a word/);
    }
    assert.deepEqual(counts("lingering"), { ...none, passed: 1, failed: 1 });
    assert.match(why("lingering"), /lingering did not end after its tests/);
  });

  it("add up, and each report is printed whole", () => {
    const sum = (what: "passed" | "failed" | "skipped") => [...of.values()].reduce((n, each) => n + each[what], 0);
    assert.equal(of.size, Object.keys(files).length);
    for (const what of ["passed", "failed", "skipped"] as const) assert.equal(all[what], sum(what), what);
    for (const name of of.keys()) assert.equal(printed.filter((text) => text.includes(`── ${name} (`)).length, 1, name);
    assert.match(printed.find((text) => text.includes("── mixed (")) ?? "", /✔ passes.*fails.*is skipped.*no good/s);
  });
});

describe("jobs", () => {
  const paths = [
    "core/a/1",
    "core/a/2",
    "core/b/1",
    "flows/any",
    "flows/quotes",
    "flows/external",
    "flows/swapFaults",
    "top",
  ];
  const jobs = toJobs(paths.map((path) => `test/${path}.test.ts`));

  it("have every file once", () => {
    assert.deepEqual(jobs.flatMap(({ files }) => files).sort(), paths.map((path) => `test/${path}.test.ts`).sort());
  });

  it("are folders; of what takes long single files or those on one network, and they begin first", () => {
    const begun = jobs.map(({ name }) => name.replace(/^test\/|\.test\.ts$/g, ""));
    assert.deepEqual(begun, ["flows on one network", "flows/any", "flows/swapFaults", "core/a", "core/b", "test"]);
  });

  it("run in as many processes as was asked for, and at least in one", () => {
    assert.equal(processCount("5"), 5);
    assert.ok(processCount("") >= 1);
    assert.equal(patienceMs("5"), 5_000);
    for (const asked of ["0", "-1", "many", "1.5"]) {
      assert.throws(() => processCount(asked), /LOCKSTEP_TEST_PROCESSES/);
      assert.throws(() => patienceMs(asked), /LOCKSTEP_TEST_PATIENCE/);
    }
  });
});
