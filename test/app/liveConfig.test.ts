import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect } from "node:tls";
import { fileURLToPath } from "node:url";
import { createLiveConfig } from "#app/liveConfig.ts";
import { changedFields, withLiveFields } from "#core/config/changes.ts";
import { type ServiceConfig, serviceConfigSchema } from "#core/config/service.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { redact } from "#core/kernel/redacted.ts";
import { startBareChain } from "#test/support/bareChain.ts";
import { onServer, postgresAnswers, postgresServer, quietLog } from "#test/support/databases.ts";
import type { JsonServer } from "#test/support/jsonServer.ts";
import { freePort } from "#test/support/servers.ts";
import { until } from "#test/support/until.ts";

const chain = {
  ...{ chainId: 1, endpoints: ["http://127.0.0.1:1"], finality: { blocks: 0 } },
  ...{ blockSeconds: 1, inclusionSeconds: 1, skewSeconds: 1 },
  ...{ gateway: `0x${"11".repeat(20)}`, timelock: `0x${"22".repeat(20)}` },
  // Amounts are bigints, which JSON has not.
  feeCeilings: { default: "1000000000" },
};
const base = {
  chains: { alpha: chain },
  accounts: { alice: { variable: "ALICE" } },
  sealingKey: { variable: "SEALING" },
  relay: { account: "alice", validators: [{ name: "v", address: `0x${"33".repeat(20)}`, url: "http://127.0.0.1:1" }] },
  swap: { reactionSeconds: 5 },
};

describe("a configuration that is read again", () => {
  const parse = (change: object = {}): ServiceConfig =>
    serviceConfigSchema.parse({ ...base, http: { port: 1 }, ...change });
  const open = (config: ServiceConfig, read: () => ServiceConfig, key = "a key") =>
    createLiveConfig({
      ...{ config, read, clock: systemClock, log: quietLog },
      key: redact(new TextEncoder().encode(key)),
    });

  it("takes what may change, and names what waits for a restart", () => {
    const limits = { urlBytes: 300, bodyBytes: 2_048 };
    const http = { port: 2, limits, rateLimit: { caller: { perMinute: 7 } } };
    const live = open(parse(), () => parse({ http, logLevel: "debug", fleet: { drainSeconds: 3, leaseSeconds: 9 } }));
    let applied: ServiceConfig | undefined;
    live.onChange((next) => () => {
      applied = next;
    });
    const before = live.facts();
    assert.equal(live.reload(), true);
    const now = live.now();
    assert.equal(applied, now);
    assert.deepEqual(
      [now.logLevel, now.fleet.drainSeconds, now.http.limits.urlBytes, now.http.rateLimit.caller.perMinute],
      ["debug", 3, 300, 7],
    );
    assert.deepEqual([now.http.port, now.fleet.leaseSeconds, now.http.limits.bodyBytes], [1, 5, 256 * 1024]);
    assert.deepEqual(live.facts().waiting, ["fleet.leaseSeconds", "http.limits.bodyBytes", "http.port"]);
    assert.notEqual(live.facts().fingerprint, before.fingerprint);
    assert.equal(live.facts().shared, before.shared, "other processes need not have these");
  });

  it("stays whole as it was when the new one is not valid, or one part of it does not work", () => {
    let given: () => ServiceConfig = () => {
      throw new Error("not valid");
    };
    const first = parse();
    const live = open(first, () => given());
    const before = live.facts();
    const applied: ServiceConfig[] = [];
    live.onChange((next) => () => applied.push(next));
    live.onChange((next) => {
      if (next.logLevel === "debug") throw new Error("does not fit");
      return () => applied.push(next);
    });
    // What the present one names, such as a certificate, may be new.
    assert.equal(live.reload(), false);
    assert.deepEqual([applied.length, applied.every((each) => each === first)], [2, true]);
    given = () => parse({ logLevel: "debug" });
    assert.equal(live.reload(), false);
    assert.deepEqual([applied.length, applied.every((each) => each === first)], [4, true]);
    assert.deepEqual([live.now() === first, live.facts()], [true, before]);
    given = () => parse({ logLevel: "warn" });
    assert.equal(live.reload(), true);
    assert.deepEqual(
      applied.slice(4).map(({ logLevel }) => logLevel),
      ["warn", "warn"],
    );
  });

  it("takes another authority of clients, and leaves it to a restart whether they are asked for a certificate", () => {
    const files = { certFile: "c", keyFile: "k" };
    const secured = (tls: object) => parse({ http: { port: 1, access: {}, tls: { ...files, ...tls } } });
    const reloaded = (before: object, after: object) => {
      const live = open(secured(before), () => secured(after));
      assert.equal(live.reload(), true);
      return [live.now().http.tls, live.facts().waiting];
    };
    const [none, one, two] = [{ requireClientCertificate: false }, { clientCaFile: "one" }, { clientCaFile: "two" }];
    assert.deepEqual(reloaded(one, { ...two, certFile: "d" }), [{ ...files, ...none, ...two, certFile: "d" }, []]);
    assert.deepEqual(reloaded(none, one), [{ ...files, ...none }, ["http.tls.clientCaFile"]]);
    assert.deepEqual(reloaded(one, none), [{ ...files, ...none, ...one }, ["http.tls.clientCaFile"]]);
    assert.deepEqual(reloaded(one, { ...two, requireClientCertificate: true }), [
      { ...files, ...none, ...two },
      ["http.tls.requireClientCertificate"],
    ]);
  });

  it("is told from others by its fingerprint, whatever the order of its keys, and only with the key", () => {
    const swapped = { ...Object.fromEntries(Object.entries(parse()).toReversed()) } as unknown as ServiceConfig;
    const facts = (config: ServiceConfig, key?: string) => open(config, () => config, key).facts();
    assert.equal(facts(parse()).fingerprint, facts(swapped).fingerprint);
    assert.notEqual(facts(parse()).fingerprint, facts(parse(), "another key").fingerprint);
    assert.notEqual(facts(parse()).shared, facts(parse({ swap: { reactionSeconds: 6 } })).shared);
    assert.equal(facts(parse()).shared, facts(parse({ roles: ["api"] })).shared);
  });

  it("compares field by field", () => {
    assert.deepEqual(changedFields({ a: { b: 1, c: [1] }, d: 1 }, { a: { b: 2, c: [2] }, e: 1 }), [
      ...["a.b", "a.c", "d", "e"],
    ]);
    assert.deepEqual(changedFields({ a: 1n, b: [{ c: 2n }], d: 3n }, { a: 1n, b: [{ c: 2n }], d: 4n }), ["d"]);
    const before = { http: { port: 1, rateLimit: { caller: 1 } } };
    const after = { http: { port: 2, rateLimit: { caller: 2, address: 3 } }, logLevel: "info" };
    assert.deepEqual(withLiveFields<unknown>(before, after), {
      http: { port: 1, rateLimit: { caller: 2, address: 3 } },
      logLevel: "info",
    });
  });
});

const answers = await postgresAnswers();
describe("SIGHUP of a service", { skip: !answers && "no PostgreSQL at 127.0.0.1:5432", timeout: 120_000 }, () => {
  const name = `lockstep_test_${process.pid}_${Date.now()}`;
  const main = fileURLToPath(new URL("../../app/main.ts", import.meta.url));
  let folder: string;
  let node: JsonServer;
  const children: ChildProcess[] = [];
  const stopSeconds = 4;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "lockstep-live-"));
    node = await startBareChain(1);
    await onServer(`CREATE DATABASE ${name}`);
  });
  after(async () => {
    for (const child of children) if (child.exitCode === null && child.kill("SIGTERM")) await once(child, "exit");
    await onServer(`DROP DATABASE ${name} WITH (FORCE)`);
    await node.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function start(instance: string, always: object = {}) {
    const port = await freePort();
    const file = join(folder, `${instance}.json`);
    const dataDir = join(folder, instance);
    mkdirSync(dataDir);
    const write = (change: { http?: object; fleet?: object; [key: string]: unknown } | string) => {
      if (typeof change === "string") return writeFileSync(file, change);
      const { http, fleet: more, ...rest } = change;
      const chains = { alpha: { ...chain, endpoints: [node.url] } };
      const fleet = { instance, leaseSeconds: 0.5, stopSeconds, ...more };
      writeFileSync(
        file,
        JSON.stringify({ ...base, chains, fleet, dataDir, http: { port, ...always, ...http }, ...rest }),
      );
    };
    write({});
    const env = {
      ...{ ...process.env, DATABASE_URL: new URL(name, postgresServer).href, REDIS_URL: "" },
      ...{ LOCKSTEP_LOG_LEVEL: "info", ALICE: `0x${"1".repeat(64)}`, SEALING: `0x${"2".repeat(64)}` },
    };
    const child = spawn(process.execPath, [main, "service", "--config", file], { env });
    children.push(child);
    let said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk) => {
        said += String(chunk);
      });
    }
    const url = `http://127.0.0.1:${port}`;
    await until(() => said.includes('"msg":"listening"'), `${instance} listens`);
    const listed = async () => {
      const answer = await fetch(`${url}/v1/instances`);
      if (!answer.ok) return [];
      return ((await answer.json()) as { instances: Listed[] }).instances;
    };
    return { child, write, listed, url, port, hangUp: () => child.kill("SIGHUP"), said: () => said, dataDir };
  }
  type Listed = {
    name: string;
    health: { ok: boolean };
    load: { cpu?: number; work: Record<string, number>; eventLoop: number };
    configuration?: { fingerprint: string; shared: string; loadedAt: string; waiting: string[] };
  };

  it("changes what it may, and shows in the list which process has which configuration", async () => {
    const one = await start("one");
    await start("two");
    const facts = async () => {
      const all = await one.listed();
      const of = (instance: string) => all.find((each) => each.name === instance);
      return { one: of("one"), two: of("two") };
    };
    const both = await until(async () => {
      const found = await facts();
      return found.one?.configuration && found.two?.configuration ? found : undefined;
    });
    assert.equal(both.one?.configuration?.shared, both.two?.configuration?.shared);
    assert.equal(both.one?.health.ok, true);
    assert.ok((both.one?.load.cpu ?? 0) > 0 && both.one?.load.work !== undefined);

    const rateLimit = { caller: { perMinute: 60_000, burst: 5 } };
    one.write({ logLevel: "debug", http: { rateLimit }, swap: { reactionSeconds: 50 } });
    one.hangUp();
    await until(() => one.said().includes("the configuration was read again"));
    assert.match((await fetch(`${one.url}/v1/lanes`)).headers.get("ratelimit-policy") ?? "", /q=5;/);
    const waiting = async () => (await facts()).one?.configuration?.waiting.join();
    await until(async () => (await waiting()) === "swap.reactionSeconds");
    assert.match(one.said(), /"level":"warn".*swap\.reactionSeconds.*take effect when the process starts again/);
    const older = await facts();
    assert.equal(older.one?.configuration?.shared, older.two?.configuration?.shared, "it does not count yet");

    one.write("{ not JSON");
    one.hangUp();
    await until(() => one.said().includes("going on with the one before"));
    one.write({ unknown: 1 });
    one.hangUp();
    await until(() => one.said().split("going on with the one before").length === 3);
    assert.match((await fetch(`${one.url}/v1/lanes`)).headers.get("ratelimit-policy") ?? "", /q=5;/);
    assert.match(one.said(), /config-invalid/);
    assert.ok(readFileSync(join(one.dataDir, "token"), "utf8").length > 0);
  });

  it("shows a certificate that was renewed, also while the file is broken, and where only another authority waits", async () => {
    const at = (file: string) => join(folder, file);
    const makeCertificate = (subject: string) => {
      const key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-keyout",
        at(`${subject}.key`),
      ];
      const args = ["req", "-x509", ...key, "-out", at(`${subject}.pem`), "-subj", `/CN=${subject}`];
      execFileSync("openssl", args, { stdio: "pipe" });
    };
    const use = (subject: string) => {
      for (const part of ["key", "pem"]) copyFileSync(at(`${subject}.${part}`), at(`live.${part}`));
    };
    for (const subject of ["first", "second", "third"]) makeCertificate(subject);
    use("first");
    const tls = { certFile: at("live.pem"), keyFile: at("live.key") };
    const three = await start("three", { access: {}, tls });
    const shown = async () => {
      const socket = connect({ host: "127.0.0.1", port: three.port, rejectUnauthorized: false });
      await once(socket, "secureConnect");
      const { subject } = socket.getPeerCertificate();
      socket.destroy();
      return subject.CN;
    };
    assert.equal(await shown(), "first");
    use("second");
    three.write("{ not JSON");
    three.hangUp();
    await until(async () => (await shown()) === "second");
    use("third");
    three.write({ http: { tls: { ...tls, clientCaFile: at("first.pem"), requireClientCertificate: true } } });
    three.hangUp();
    await until(async () => (await shown()) === "third");
    const waits = '"fields":["http.tls.clientCaFile","http.tls.requireClientCertificate"]';
    await until(() => three.said().includes(waits));
  });

  it("gives a process as long to end as it says that it is not ready, by the configuration of then", async () => {
    const drainSeconds = stopSeconds + 1;
    const four = await start("four");
    four.write({ fleet: { drainSeconds } });
    four.hangUp();
    await until(() => four.said().includes("the configuration was read again"));
    const begun = performance.now();
    four.child.kill("SIGTERM");
    const [code] = await once(four.child, "exit");
    assert.equal(code, 0, four.said());
    assert.ok(performance.now() - begun >= 1_000 * drainSeconds);
  });
});
