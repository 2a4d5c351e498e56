import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { anyHome, shareNetwork, type TestNetwork } from "#test/support/network.ts";

type Ran = { status: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string };

const home = await anyHome();

describe("the command line beside a network", () => {
  const open = shareNetwork(home);
  let test: TestNetwork;
  let folder: string;
  before(() => {
    test = open();
    folder = mkdtempSync(join(tmpdir(), "lockstep-cli-"));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** The real command; `look` sees the process and what it has printed so far. */
  function run(args: string[], look: (stdout: string, kill: () => void) => void = () => undefined): Promise<Ran> {
    const { FORCE_COLOR: _force, ...inherited } = process.env;
    const env = { ...inherited, ...test.env, LOCKSTEP_URL: "", LOCKSTEP_TOKEN: "" };
    const child = spawn(process.execPath, ["app/main.ts", ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
    const ran = { stdout: "", stderr: "" };
    child.stdout.on("data", (text) => {
      ran.stdout += text;
      look(ran.stdout, () => child.kill("SIGINT"));
    });
    child.stderr.on("data", (text) => {
      ran.stderr += text;
    });
    return new Promise((resolve) => child.on("close", (status, signal) => resolve({ ...ran, status, signal })));
  }
  const here = () => ["--data-dir", test.network.layout.dataDir];
  /** The code of an error, behind what was said while it was waited for. */
  const codeOf = ({ stderr }: Ran) => /^([a-z-]+): /m.exec(stderr)?.[1];
  const onlyJson = ({ status, stdout, stderr }: Ran, wanted: number) => {
    assert.equal(status, wanted, stderr);
    assert.ok(!`${stdout}${stderr}`.includes("\u001b["), "no colours where no terminal is");
    return JSON.parse(stdout) as Record<string, unknown> & { id: string; status: string; timeline: object[] };
  };

  it("sends a message and follows it to its delivery, with nothing but JSON on standard output", async () => {
    const ran = await run(["message", "send", "alpha", "beta", "--text", "hello", "--wait", "--json", ...here()]);
    const message = onlyJson(ran, 0);
    assert.equal(message.status, "delivered");
    assert.equal(message.payload, "0x68656c6c6f");
    assert.match(ran.stderr, /MessageSubmitted|MessageSent/);
    assert.match(ran.stderr, /^[a-z]+, [a-z-]+: \w/m, "why it waits");
    const shown = await run(["message", "get", message.id, ...here()]);
    assert.match(shown.stdout, new RegExp(`^${message.id} {2}delivered\\n {2}alpha→beta #\\d+`));
    const list = onlyJson(await run(["message", "list", "--status", "delivered", "--json", ...here()]), 0);
    assert.ok((list.messages as { id: string }[]).some(({ id }) => id === message.id));
    const retried = await run(["message", "retry", message.id, "--json", ...here()]);
    assert.deepEqual([retried.status, retried.stdout], [65, ""]);
    assert.equal(JSON.parse(retried.stderr.trim().split("\n").at(-1) ?? "").error.code, "message-ended");
  });

  it("asks the desk for a quote, takes it, and follows the swap to its end", async () => {
    const sides = ["--source", "alpha:native:1000000000000000000", "--target", "beta:token"];
    const quote = onlyJson(await run(["quote", ...sides, "--json", ...here()]), 0);
    assert.equal((quote.target as { chain: string }).chain, "beta");
    const taken = await run(["quote", ...sides, "--accept", "--initiator", "alice", "--wait", ...here()]);
    assert.equal(taken.status, 0, taken.stderr);
    assert.match(taken.stdout, /SwapRequested[\s\S]* completed\n/);
    const swaps = onlyJson(await run(["swap", "list", "--limit", "1", "--json", ...here()]), 0);
    const [swap] = swaps.swaps as { id: string; status: string }[];
    assert.equal(swap?.status, "completed");
    for (const [status, isThere] of [
      ["completed", true],
      ["refunded", false],
    ] as const) {
      const query = ["--status", status, "--chain", "beta", "--account", "alice"];
      const found = onlyJson(await run(["swap", "list", ...query, "--json", ...here()]), 0);
      assert.equal(
        (found.swaps as { id: string }[]).some(({ id }) => id === swap?.id),
        isThere,
        status,
      );
    }
    const approved = await run(["swap", "approve", swap?.id ?? "", "--step", "lock-source", ...here()]);
    assert.deepEqual([approved.status, codeOf(approved)], [65, "swap-not-waiting"]);
    const refunded = await run(["swap", "refund", swap?.id ?? "", ...here()]);
    assert.deepEqual([refunded.status, refunded.stdout], [65, ""]);
    assert.match(refunded.stderr, /^swap-over: /m);
  });

  it("requests a swap by short forms, and the service's refusals by class", async () => {
    const parties = ["--initiator", "alice", "--counterparty", "bob"];
    const legs = ["--source", "alpha:native:1000", "--target", "beta:token:1000"];
    const swap = onlyJson(await run(["swap", "request", ...legs, ...parties, "--json", ...here()]), 0);
    assert.equal((swap.source as { amount: string }).amount, "1000");
    const nobody = await run(["swap", "request", ...legs, "--initiator", "zoe", "--counterparty", "bob", ...here()]);
    assert.deepEqual([nobody.status, codeOf(nobody)], [65, "account-unknown"]);
    const none = await run(["swap", "get", "nothing", ...here()]);
    assert.deepEqual([none.status, codeOf(none)], [65, "not-found"]);
    const wrong = join(folder, "wrong");
    writeFileSync(wrong, "no-token\n");
    const stranger = await run(["swap", "list", "--token-file", wrong, ...here()]);
    assert.deepEqual([stranger.status, codeOf(stranger)], [77, "unauthorized"]);
    const elsewhere = await run(["swap", "list", "--url", "http://127.0.0.1:1", ...here()]);
    assert.equal(elsewhere.status, 75);
    const lock = await run(["watch", "alpha", `0x${"12".repeat(32)}`, ...here()]);
    assert.equal(lock.status, 65);
  });

  it("streams events as JSON lines until it is interrupted, and from a place on", async () => {
    const first = await run(["events", "--after", "0", "--count", "3", "--json", ...here()]);
    const events = first.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { id: string });
    assert.deepEqual([first.status, events.length], [0, 3]);
    const rest = await run(["events", "--after", events[0]!.id, "--json", ...here()], (_, kill) => kill());
    assert.equal(rest.status, 130);
    assert.equal((JSON.parse(rest.stdout.split("\n")[0]!) as { id: string }).id, events[1]!.id);
  });

  it("finds the network well", async () => {
    const { status, stdout } = await run(["doctor", "--config", test.network.layout.service, "--json"]);
    const { checks } = JSON.parse(stdout) as { checks: { name: string; result: string; found: string }[] };
    assert.deepEqual(
      checks.filter(({ result }) => result !== "ok"),
      [],
    );
    assert.match(checks.find(({ name }) => name === "port")?.found ?? "", /the service answers/);
    assert.equal(status, 0);
  });
});
