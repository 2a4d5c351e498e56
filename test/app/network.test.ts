import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { startNetwork } from "#app/network/network.ts";
import { claimPorts } from "#app/network/ports.ts";
import { resetNetwork } from "#app/network/reset.ts";
import { lockFolder } from "#core/db/embedded/lock.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { isLockstepError } from "#core/kernel/errors.ts";

const root = mkdtempSync(join(tmpdir(), "lockstep-app-test-"));
after(() => rmSync(root, { recursive: true, force: true }));
const folder = () => mkdtempSync(join(root, "data-"));

const start = (dataDir: string, reset = false) =>
  startNetwork({
    dataDir,
    ports: { api: 0, alpha: 0, beta: 0, validators: 0 },
    reset,
    say: () => undefined,
    serviceEnv: { DATABASE_URL: "", REDIS_URL: "" },
  });

describe("the folder of a local network", () => {
  it("is not reset unless a local network made it", async () => {
    const dataDir = folder();
    writeFileSync(join(dataDir, "thesis.txt"), "years of work");
    await assert.rejects(start(dataDir, true), { code: "config-invalid" });
    assert.ok(existsSync(join(dataDir, "thesis.txt")));
  });

  it("is emptied by a reset when it is one", async () => {
    const dataDir = folder();
    writeFileSync(join(dataDir, "network.json"), "{}");
    writeFileSync(join(dataDir, "service.json"), "{}");
    await resetNetwork(dataDir, undefined);
    assert.ok(!existsSync(join(dataDir, "network.json")) && !existsSync(join(dataDir, "service.json")));
  });

  it("is left alone, reset or not, while another process works on it", async () => {
    const dataDir = folder();
    writeFileSync(join(dataDir, "network.json"), "{}");
    const lock = await lockFolder(dataDir, { patienceMs: 0, clock: systemClock });
    try {
      for (const reset of [false, true]) await assert.rejects(start(dataDir, reset), { code: "data-folder-in-use" });
    } finally {
      lock.release();
    }
    assert.ok(existsSync(join(dataDir, "network.json")));
  });

  it("says how to begin anew when its chains are gone", async () => {
    const dataDir = folder();
    writeFileSync(join(dataDir, "network.json"), "{}");
    const told = (error: unknown) => isLockstepError(error, "network-stale") && /--reset/.test(error.message);
    await assert.rejects(start(dataDir), told);
  });
});

describe("ports", () => {
  it("that are taken are named with the option that changes them, all at once", async () => {
    const servers = [createServer(), createServer()];
    const taken: number[] = [];
    for (const server of servers) {
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const address = server.address();
      if (typeof address === "object" && address) taken.push(address.port);
    }
    const wishes = taken.map((port, i) => ({ what: `thing ${i}`, option: `--port-${i}`, port }));
    try {
      await assert.rejects(claimPorts(wishes), (error) => {
        assert.ok(isLockstepError(error, "port-taken"));
        for (const { what, option, port } of wishes)
          assert.match(error.message, new RegExp(`${port}.*${what}.*${option}`));
        return true;
      });
    } finally {
      for (const server of servers) await new Promise((resolve) => server.close(resolve));
    }
  });

  it("are chosen where none is wished for", async () => {
    const [a = 0, b = 0] = await claimPorts([
      { what: "a", option: "--a", port: 0 },
      { what: "b", option: "--b", port: 0 },
    ]);
    assert.ok(a > 0 && b > 0 && a !== b);
  });
});
