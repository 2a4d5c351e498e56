import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { numberToHex } from "viem";
import { privateKeyToAddress } from "viem/accounts";
import { checkPort, lookForService } from "#app/doctor/machine.ts";
import { type CoreDeployment, connectGateway, deployCore } from "#app/network/deploy.ts";
import { createDeployer } from "#app/network/deployer.ts";
import { httpConfigSchema } from "#core/config/http.ts";
import { lockFolder } from "#core/db/embedded/lock.ts";
import { systemClock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { redact } from "#core/kernel/redacted.ts";
import { testCertificates } from "#test/support/certificates.ts";
import { type LocalChain, localKey, startLocalChain } from "#test/support/localChain.ts";
import { failing, type RpcProxy, type RpcRule, startRpcProxy } from "#test/support/rpcProxy.ts";
import { s3Keys, startS3Server } from "#test/support/s3Server.ts";

type Check = { name: string; result: string; found: string; fix?: string };
type Ran = { status: number | null; stdout: string; stderr: string };

function run(env: Record<string, string>, ...args: string[]): Promise<Ran> {
  const bare = { DATABASE_URL: "", REDIS_URL: "", LOCKSTEP_URL: "", LOCKSTEP_TOKEN: "" };
  const { FORCE_COLOR: _force, NO_COLOR: _no, ...inherited } = process.env;
  const rest = { ...inherited, ...bare, ...env };
  const child = spawn(process.execPath, ["app/main.ts", ...args], { env: rest, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (text) => {
    stdout += text;
  });
  child.stderr.on("data", (text) => {
    stderr += text;
  });
  return new Promise((resolve) => child.on("close", (status) => resolve({ status, stdout, stderr })));
}

const validators = [1, 2, 3].map((index) => privateKeyToAddress(localKey(index)));
const relayerKey = localKey(4);
const ids = { alpha: 991, beta: 992 } as const;

/** The newest block is what a test says. */
const latestIs =
  (block: unknown): RpcRule =>
  (request) =>
    request.method === "eth_getBlockByNumber" && request.params[0] === "latest"
      ? Promise.resolve({ result: block })
      : undefined;

describe("doctor and deploy, against two chains", () => {
  let folder: string;
  let chains: Record<"alpha" | "beta", LocalChain>;
  let proxies: Record<"alpha" | "beta", RpcProxy>;
  const deployed = {} as Record<"alpha" | "beta", CoreDeployment>;
  let healthy: Server;
  let s3: Awaited<ReturnType<typeof startS3Server>>;

  const file = (name: string) => join(folder, name);
  const keyFile = (name: string, key: Hex) => {
    writeFileSync(file(name), `${key}\n`, { mode: 0o600 });
    return file(name);
  };
  const deployerOf = (name: "alpha" | "beta") => createDeployer({ url: chains[name].url, key: redact(localKey(0)) });

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "lockstep-doctor-"));
    const [alpha, beta] = await Promise.all([startLocalChain(ids.alpha), startLocalChain(ids.beta)]);
    chains = { alpha, beta };
    proxies = { alpha: await startRpcProxy(alpha.url), beta: await startRpcProxy(beta.url) };
    healthy = createServer((_, response) => response.end("{}"));
    await new Promise<void>((resolve) => healthy.listen(0, "127.0.0.1", resolve));
    s3 = await startS3Server("things", "here");
    for (const [name, text] of Object.entries({ "s3.id": s3Keys.accessKeyId, "s3.key": s3Keys.secretAccessKey }))
      writeFileSync(file(name), text, { mode: 0o600 });
    keyFile("deployer.key", localKey(0));
    keyFile("relayer.key", relayerKey);
    keyFile("sealing.key", `0x${"7".repeat(64)}`);
    for (const name of ["alpha", "beta"] as const) deployed[name] = await deployCore(deployerOf(name));
    const set = {
      validators: validators.map((account) => ({ account, weight: 1n })),
      threshold: { rule: "absoluteWeight", weight: 2n },
    } as const;
    for (const [name, peer] of [
      ["alpha", "beta"],
      ["beta", "alpha"],
    ] as const) {
      const there = { chainId: ids[peer], gateway: deployed[peer].gateway };
      await connectGateway(deployerOf(name), deployed[name].gateway, there, set);
    }
  });
  after(async () => {
    healthy.close();
    await s3.close();
    for (const proxy of Object.values(proxies)) await proxy.close();
    for (const chain of Object.values(chains)) await chain.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const chainOf = (name: "alpha" | "beta") => {
    const { gateway, timelock, stateOracle } = deployed[name];
    return {
      ...{
        chainId: ids[name] as number,
        endpoints: [proxies[name].url],
        finality: { blocks: 0 },
        gateway,
        timelock,
        stateOracle,
      },
      ...{ blockSeconds: 1, inclusionSeconds: 2, skewSeconds: 30, idles: true },
    };
  };

  const s3Store = (bucket: string) => ({
    ...{ type: "s3", endpoint: s3.endpoint, region: "here", bucket },
    accessKeyId: { file: file("s3.id") },
    secretAccessKey: { file: file("s3.key") },
  });

  /** A sound configuration. */
  const sound = () => ({
    dataDir: file("data"),
    http: { port: 0 },
    chains: { alpha: chainOf("alpha"), beta: chainOf("beta") } as Record<string, ReturnType<typeof chainOf>>,
    accounts: { relayer: { file: file("relayer.key") } },
    sealingKey: { file: file("sealing.key") },
    relay: {
      account: "relayer",
      threshold: { rule: "absoluteWeight", weight: 2 },
      validators: validators.map((address, i) => ({
        ...{ name: `validator-${i}`, address, url: `http://127.0.0.1:${(healthy.address() as AddressInfo).port}` },
      })),
    },
    swap: { reactionSeconds: 4 },
  });

  async function examine(change: (config: ReturnType<typeof sound>) => void = () => undefined, env = {}) {
    const config = sound();
    change(config);
    writeFileSync(file("lockstep.json"), JSON.stringify(config));
    const { status, stdout } = await run(env, "doctor", "--config", file("lockstep.json"), "--json");
    const { checks, worst } = JSON.parse(stdout) as { worst: string; checks: Check[] };
    return { status, worst, checks, of: (name: string) => checks.find((check) => check.name === name) };
  }

  it("finds nothing where all is well", async () => {
    const { status, worst, checks } = await examine(
      (c) => void Object.assign(c, { archive: { store: s3Store("things") } }),
    );
    assert.deepEqual(
      checks.filter(({ result }) => result !== "ok"),
      [],
    );
    assert.deepEqual([status, worst], [0, "ok"]);
    const names = checks.map(({ name }) => name);
    for (const name of [
      "configuration",
      "node",
      "data folder",
      "port",
      "database",
      "queue",
      "archive",
      "gateway of alpha",
    ])
      assert.ok(names.includes(name), name);
    assert.ok(names.includes("validators of alpha→beta") && names.includes("account relayer on beta"));
  });

  it("tells people the same, without colours where no terminal is", async () => {
    writeFileSync(file("people.json"), JSON.stringify({ ...sound(), sealingKey: { file: file("none.key") } }));
    const { status, stdout } = await run({}, "doctor", "--config", file("people.json"));
    assert.equal(status, 78);
    assert.match(stdout, /^ok +node +v\d/m);
    assert.match(stdout, /^error +key file of sealingKey +.*is not there\n +→ write the key/m);
    assert.ok(!stdout.includes("\u001b["));
    const coloured = await run({ FORCE_COLOR: "1" }, "doctor", "--config", file("people.json"));
    assert.ok(coloured.stdout.includes("\u001b["));
  });

  type Config = ReturnType<typeof sound>;
  const mistakes: [string, (config: Config) => void, string, string, RegExp][] = [
    [
      "an endpoint that does not answer",
      (c) => {
        c.chains.alpha!.endpoints = ["http://127.0.0.1:1"];
      },
      "endpoint 127.0.0.1:1 of alpha",
      "error",
      /./,
    ],
    [
      "another chain's id",
      (c) => {
        c.chains.alpha!.chainId = 5;
      },
      "ENDPOINT",
      "error",
      /991/,
    ],
    [
      "a gateway that is not there",
      (c) => {
        c.chains.alpha!.gateway = `0x${"12".repeat(20)}`;
      },
      "gateway of alpha",
      "error",
      /no contract/,
    ],
    [
      "a timelock in the gateway's place",
      (c) => {
        c.chains.alpha!.gateway = deployed.alpha.timelock;
      },
      "gateway of alpha",
      "error",
      /does not answer as a gateway/,
    ],
    [
      "an oracle of another gateway",
      (c) => {
        c.chains.alpha!.gateway = deployed.alpha.stateOracle;
      },
      "stateOracle of alpha",
      "error",
      /belongs to the gateway/,
    ],
    [
      "a lane that leads elsewhere",
      (c) => {
        c.chains.beta!.gateway = deployed.beta.timelock;
      },
      "lane alpha→beta",
      "error",
      /knows beta by/,
    ],
    [
      "another threshold",
      (c) => {
        c.relay.threshold.weight = 3;
      },
      "validators of alpha→beta",
      "error",
      /threshold there is absoluteWeight 2/,
    ],
    [
      "another validator",
      (c) => {
        c.relay.validators[0]!.address = privateKeyToAddress(localKey(9));
      },
      "validators of alpha→beta",
      "error",
      /not the configured ones/,
    ],
    [
      "an epoch that is still to come",
      (c) => void Object.assign(c.relay, { epoch: 2 }),
      "validators of alpha→beta",
      "error",
      /is at epoch 1/,
    ],
    [
      "a validator that is not running",
      (c) => {
        c.relay.validators[0]!.url = "http://127.0.0.1:1";
      },
      "validator validator-0",
      "warning",
      /does not answer/,
    ],
    [
      "an account without coin",
      (c) => {
        c.accounts.relayer.file = keyFile("poor.key", `0x${"5".repeat(64)}`);
      },
      "account relayer on beta",
      "error",
      /holds 0, one transaction needs about 0\.\d+/,
    ],
    [
      "a key that others can read",
      (c) => {
        c.accounts.relayer.file = keyFile("open.key", relayerKey);
        chmodSync(file("open.key"), 0o644);
      },
      "key file of accounts.relayer",
      "error",
      /644/,
    ],
    [
      "a port of another program",
      (c) => {
        c.http.port = (healthy.address() as AddressInfo).port;
      },
      "port",
      "error",
      /taken by another program/,
    ],
    [
      "a data folder that is a file",
      (c) => {
        c.dataDir = file("sealing.key");
      },
      "data folder",
      "error",
      /is a file|cannot be written/,
    ],
    [
      "an archive that is a file",
      (c) => void Object.assign(c, { archive: { store: { type: "folder", path: file("sealing.key") } } }),
      "archive",
      "error",
      /is a file|cannot be written/,
    ],
    [
      "an archive whose bucket is not there",
      (c) => void Object.assign(c, { archive: { store: s3Store("another") } }),
      "archive",
      "error",
      /GET of doctor was answered 404 NoSuchBucket/,
    ],
    [
      "a secret of traces that is not there",
      (c) => {
        const headers = { "x-key": { file: file("none.key") } };
        Object.assign(c, { telemetry: { traces: { url: "http://127.0.0.1:1/v1/traces", headers } } });
      },
      "key file of telemetry.traces.headers.x-key",
      "error",
      /is not there/,
    ],
    ["a field that is wrong", (c) => void Object.assign(c.http, { port: -1 }), "configuration", "error", /http\.port/],
  ];
  for (const [what, change, name, result, words] of mistakes) {
    it(`finds ${what}`, async () => {
      const { status, of } = await examine(change);
      const check = of(name === "ENDPOINT" ? `endpoint ${new URL(proxies.alpha.url).host} of alpha` : name);
      assert.equal(check?.result, result, JSON.stringify(check));
      assert.match(check.found, words);
      assert.ok(check.fix);
      assert.equal(status, result === "error" ? 78 : 1);
    });
  }

  it("finds an endpoint that lags, one that hangs, and a clock that is off", async () => {
    const slow = await startRpcProxy(chains.alpha.url);
    try {
      await chains.alpha.mine(10);
      const old = await chains.alpha.rpc("eth_getBlockByNumber", ["0x0", false]);
      slow.use(latestIs(old));
      const two = (c: Config) => {
        c.chains.alpha!.endpoints = [proxies.alpha.url, slow.url];
      };
      const lagging = await examine(two);
      assert.match(lagging.of(`endpoint ${new URL(slow.url).host} of alpha`)?.found ?? "", /blocks behind/);
      slow.use(failing("die"));
      const dead = await examine(two);
      assert.equal(dead.of(`endpoint ${new URL(slow.url).host} of alpha`)?.result, "error");
      assert.equal(dead.of("gateway of alpha")?.result, "ok", "the other endpoint is asked");
      const head = await chains.alpha.rpc<object>("eth_getBlockByNumber", ["latest", false]);
      const ahead = numberToHex(Math.floor(Date.now() / 1000) + 3_600);
      proxies.alpha.use(latestIs({ ...head, timestamp: ahead }));
      const early = await examine();
      assert.match(early.of("clock against alpha")?.found ?? "", /in this machine's future/);
      const behind = numberToHex(Math.floor(Date.now() / 1000) - 3_600);
      proxies.alpha.use(latestIs({ ...head, timestamp: behind }));
      const late = await examine((c) => {
        c.chains.alpha!.idles = false;
      });
      assert.equal(late.of("clock against alpha")?.result, "warning");
    } finally {
      proxies.alpha.use();
      await slow.close();
    }
  });

  it("finds a data folder in use, and databases and queues that do not answer", async () => {
    const lock = await lockFolder(join(file("data"), "db"), { patienceMs: 0, clock: systemClock });
    try {
      assert.match((await examine()).of("data folder")?.found ?? "", /another process works on/);
    } finally {
      lock.release();
    }
    const env = { DATABASE_URL: "postgres://nobody@127.0.0.1:1/none", REDIS_URL: "redis://127.0.0.1:1" };
    const { status, of } = await examine(undefined, env);
    assert.deepEqual([of("database")?.result, of("queue")?.result, status], ["error", "error", 78]);
  });

  it("takes the service itself for no fault where it runs, and another one for a warning", async () => {
    let title = "Lockstep";
    const service = createServer((_, response) => response.end(JSON.stringify({ info: { title } })));
    await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
    const here = (c: Config) => {
      c.http.port = (service.address() as AddressInfo).port;
    };
    try {
      const lock = await lockFolder(join(file("data"), "db"), { patienceMs: 0, clock: systemClock });
      const running = await examine(here);
      assert.deepEqual([running.of("port")?.result, running.of("data folder")?.result], ["ok", "ok"]);
      assert.deepEqual([running.status, running.worst], [0, "ok"]);
      lock.release();
      const other = await examine(here);
      assert.deepEqual([other.of("port")?.result, other.status], ["warning", 1]);
      assert.match(other.of("port")?.found ?? "", /a service with another data folder/);
      title = "Lockstep validator";
      assert.equal((await examine(here)).of("port")?.result, "error");
    } finally {
      service.close();
    }
  });

  it("knows the service by its name behind TLS too, unless it answers only who has a certificate", async () => {
    const { authority: ca, serverCertificate: cert, serverKey: key } = testCertificates;
    for (const requireClientCertificate of [false, true]) {
      const options = { ca, cert, key, requestCert: requireClientCertificate };
      const service = createTlsServer(options, (_, response) => response.end('{"info":{"title":"Lockstep"}}'));
      await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
      const tls = { certFile: "c", keyFile: "k", clientCaFile: "a", requireClientCertificate };
      const http = httpConfigSchema.parse({ port: (service.address() as AddressInfo).port, access: {}, tls });
      try {
        const running = await lookForService({ http, dataDir: file("data") }, { LOCKSTEP_LOG_LEVEL: "info" });
        const { result } = await checkPort({ http, roles: ["api"] }, { ...running, holdsFolder: undefined });
        assert.equal(result, requireClientCertificate ? "skipped" : "ok");
      } finally {
        service.close();
      }
    }
  });

  it("deploys what the rehearsal says, and refuses what nobody agreed to", async () => {
    const base = ["--rpc", chains.beta.url, "--key-file", file("deployer.key"), "--name", "gamma"];
    const unasked = await run({}, "deploy", ...base);
    assert.deepEqual([unasked.status, unasked.stdout], [2, ""]);
    const other = await run({}, "deploy", ...base, "--dry-run", "--chain-id", "1");
    assert.equal(other.status, 78);
    assert.match(other.stderr, /chain-id-mismatch/);
    const dry = await run({}, "deploy", ...base, "--dry-run", "--json");
    assert.equal(dry.status, 0, dry.stderr);
    const plan = JSON.parse(dry.stdout) as { contracts: CoreDeployment; gas: string; transactions: number };
    const height = await chains.beta.height();
    const guardian = validators[0]!;
    const real = await run(
      {},
      "deploy",
      ...base,
      "--yes",
      "--json",
      "--out",
      file("gamma.json"),
      "--finality",
      "0",
      "--guardian",
      guardian,
    );
    assert.equal(real.status, 0, real.stderr);
    const { authority, chains: written } = JSON.parse(readFileSync(file("gamma.json"), "utf8"));
    const { gateway, timelock, stateOracle } = written.gamma;
    assert.deepEqual({ authority, gateway, timelock, stateOracle }, plan.contracts);
    assert.equal(await chains.beta.height(), height + BigInt(plan.transactions));
    let used = 0n;
    for (let i = 1; i <= plan.transactions; i++) {
      const block = await chains.beta.rpc<{ gasUsed: Hex }>("eth_getBlockByNumber", [
        numberToHex(height + BigInt(i)),
        false,
      ]);
      used += BigInt(block.gasUsed);
    }
    assert.ok(used <= BigInt(plan.gas) && BigInt(plan.gas) < used * 2n, `${used} of ${plan.gas}`);
    const again = await run({}, "deploy", ...base, "--yes", "--out", file("gamma.json"));
    assert.deepEqual([again.status, /is there already/.test(again.stderr)], [2, true]);
    const found = await examine((c) => void Object.assign(c.chains.beta!, written.gamma));
    assert.equal(found.of("gateway of beta")?.result, "ok");
    assert.match(found.of("lane beta→alpha")?.found ?? "", /does not know alpha/);
  });
});
