import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { exitMend, exitTemporary } from "#app/exitCodes.ts";
import { createLifecycle } from "#app/lifecycle.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { quietLog } from "#test/support/databases.ts";
import { until } from "#test/support/until.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Runs node, and answers what it says and how it ends. */
function run(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const child: ChildProcess = spawn(process.execPath, args, { cwd: root, env: { ...process.env, ...env } });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk) => {
      said += String(chunk);
    });
  }
  const ended = once(child, "close").then(([code]) => code as number | null);
  return { child, ended, said: () => said };
}

describe("a process that comes to its end", { timeout: 60_000 }, () => {
  /** One that would go on for ever. */
  const hanging = (begin: string) =>
    run([
      ...["--input-type=module", "--eval"],
      `import { createEnding } from "#app/ending.ts";
       import { LockstepError } from "#core/kernel/errors.ts";
       import { createLog } from "#core/observe/log.ts";
       setInterval(() => undefined, 1_000);
       const ending = createEnding({ ms: () => 50, log: createLog({ level: "info", name: "hanging" }) });
       const failure = new LockstepError("chain-replaced", "it is another one");
       ${begin}`,
    ]);

  it("and hangs ends as it is, with the code of what failed", async () => {
    const asked = hanging("ending.begin();");
    assert.equal(await asked.ended, exitTemporary);
    assert.match(asked.said(), /did not end in time/);
    for (const begin of ["ending.begin(failure);", "ending.begin(); ending.begin(failure);"]) {
      const failed = hanging(begin);
      assert.equal(await failed.ended, exitMend, begin);
      assert.match(failed.said(), /chain-replaced.*did not end in time/);
    }
  });

  it("because a part did not start hears why before the others are stopped, which may hang", async () => {
    const failure = new Error("does not start");
    const never = new Promise<void>(() => undefined);
    const hanging = { start: async () => undefined, stop: () => never };
    const failing = { start: () => Promise.reject(failure), stop: async () => undefined };
    const told = Promise.withResolvers<unknown>();
    const lifecycle = createLifecycle(
      { ground: [hanging], work: [failing], front: [] },
      {
        ...{ fleet: { drainAsked: new Promise(() => undefined), drain: () => never }, drainMs: () => 0 },
        ...{ onFailed: told.resolve, clock: systemClock, log: quietLog },
      },
    );
    void lifecycle.start();
    assert.equal(await told.promise, failure);
  });
});

describe("a process that is asked to end while its start hangs", { timeout: 60_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "lockstep-ending-"));
  const taken: Socket[] = [];
  /** A database that takes connections and says nothing. */
  const silent = createServer((socket) => void taken.push(socket));
  after(() => {
    for (const socket of taken) socket.destroy();
    silent.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("ends in time", async () => {
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    const config = {
      ...{ dataDir: folder, http: { port: 0 }, fleet: { stopSeconds: 1 } },
      chains: {
        alpha: {
          ...{ chainId: 1, endpoints: ["http://127.0.0.1:1"], finality: { blocks: 0 } },
          ...{ blockSeconds: 1, inclusionSeconds: 1, skewSeconds: 1 },
          ...{ gateway: `0x${"11".repeat(20)}`, timelock: `0x${"22".repeat(20)}` },
        },
      },
      ...{ accounts: { alice: { variable: "ALICE" } }, sealingKey: { variable: "SEALING" } },
      relay: {
        account: "alice",
        validators: [{ name: "v", address: `0x${"33".repeat(20)}`, url: "http://127.0.0.1:1" }],
      },
      swap: { reactionSeconds: 20 },
    };
    const file = join(folder, "service.json");
    writeFileSync(file, JSON.stringify(config));
    const service = run(["app/main.ts", "service", "--config", file], {
      ...{ DATABASE_URL: `postgres://127.0.0.1:${port}/none`, REDIS_URL: "" },
      ...{ ALICE: `0x${"1".repeat(64)}`, SEALING: `0x${"2".repeat(64)}` },
    });
    await until(() => taken.length > 0, "it waits for its database");
    const begun = performance.now();
    service.child.kill("SIGTERM");
    assert.equal(await service.ended, exitTemporary, service.said());
    assert.match(service.said(), /did not end in time/);
    assert.ok(performance.now() - begun < 10_000);
  });
});
