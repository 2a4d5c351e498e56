import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { hexToBytes } from "viem";
import { startEmbeddedDatabase } from "#core/db/embedded/embedded.ts";
import { createDb } from "#core/db/postgres.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createSealer } from "#core/kernel/seal.ts";
import { type SignerServer, startSignerServer } from "#test/core/chain/remoteSignerServer.ts";
import { quietLog } from "#test/support/databases.ts";
import { allRows, assertNowhere, formsOfKey } from "#test/support/leaks.ts";
import { forEachHome, openNetwork, type TestNetwork } from "#test/support/network.ts";
import { until } from "#test/support/until.ts";
import { assertOnce } from "./lockFacts.ts";
import { messageRequest, type SwapAnswer, swapRequest } from "./requests.ts";

const main = fileURLToPath(new URL("../../app/main.ts", import.meta.url));
const timeoutMs = 60_000;
/** Far enough away for a service that is killed and has to wait for its signer. */
const timelocks = { source: 1_200, target: 900 };

type Settings = Record<string, unknown> & { accounts: Record<string, object>; relay: object };

await forEachHome("a network whose keys are kept well", (home) => {
  // Of this one the raw files can be searched.
  if (home.name !== "the embedded database") return;
  let test: TestNetwork;
  let signer: SignerServer;
  const token = randomBytes(24).toString("hex");
  const password = `horse ${randomBytes(12).toString("hex")} battery`;
  const fileOf = (name: string) => join(test.network.layout.keys, name);
  const keyOf = (name: string) => readFileSync(fileOf(`${name}.key`), "utf8").trim() as Hex;
  const settings = () => JSON.parse(readFileSync(test.network.layout.service, "utf8")) as Settings;
  const edit = (file: string, change: object) =>
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), ...change }));
  const command = (...args: string[]) =>
    promisify(execFile)(process.execPath, [main, "keys", ...args], {
      env: { ...process.env, ...test.env, LOCKSTEP_LOG_LEVEL: "trace" },
    });
  const swapIs = (id: string, status: string) =>
    test.api.until<SwapAnswer>(`/v1/swaps/${id}`, (swap) => swap.status === status, timeoutMs);

  before(async () => {
    test = await openNetwork(home);
    const { network } = test;
    signer = await startSignerServer([keyOf("alice")]);
    writeFileSync(fileOf("alice.token"), `${token}\n`);
    writeFileSync(fileOf("bob.password"), `${password}\n`);
    const made = ["--key-file", fileOf("bob.key"), "--password-file", fileOf("bob.password")];
    const { stdout } = await command("import", "--out", fileOf("bob.json"), ...made);
    assert.equal(stdout.split(" ")[0], network.accounts.bob?.address);
    assert.equal(statSync(fileOf("bob.json")).mode & 0o777, 0o600);
    await Promise.all([network.service.stop(), ...network.validators.map((each) => each.stop())]);
    const { accounts, relay } = settings();
    const remote = {
      url: signer.url,
      address: network.accounts.alice?.address,
      token: { file: fileOf("alice.token") },
    };
    const kept = { keystore: fileOf("bob.json"), password: { file: fileOf("bob.password") } };
    edit(network.layout.service, {
      accounts: { ...accounts, alice: { remote }, bob: kept },
      relay: { ...relay, identityAccount: "relayer" },
    });
    for (const { name } of network.validators) {
      // What they push goes nowhere: they have to be asked, and answer the relayer alone.
      const relayers = [network.accounts.relayer?.address];
      edit(network.layout.validator(name), { relayers, relayerUrl: "http://127.0.0.1:9" });
    }
    await Promise.all([network.service.start(), ...network.validators.map((each) => each.start())]);
  });
  after(async () => {
    await signer.close();
    await test.close();
  });

  it("lists addresses, and nothing that has to be kept", async () => {
    for (const asJson of [[], ["--json"]]) {
      const { stdout } = await command("list", "--config", test.network.layout.service, fileOf("bob.json"), ...asJson);
      for (const { address } of Object.values(test.network.accounts)) assert.ok(stdout.includes(address), address);
      assert.equal(/[0-9a-f]{64}/i.test(stdout), false);
    }
  });

  it("completes a swap whose signer goes away after the first lock, with the service killed meanwhile", async () => {
    const { network, api } = test;
    signer.use(async ({ method }, honest) => {
      const answer = await honest();
      if (method === "eth_signTransaction") signer.use(() => "die");
      return answer;
    });
    const { id } = await api.post<SwapAnswer>("/v1/swaps", { ...swapRequest(network), timelocks });
    await api.until<SwapAnswer>(`/v1/swaps/${id}`, (swap) => swap.target.state === "locked", timeoutMs);
    const asked = signer.requests.length;
    await until(() => signer.requests.length > asked, "the claim is to be signed", timeoutMs);
    await network.service.kill();
    await network.service.start();
    await until(() => signer.requests.length > asked + 2, "it is to be signed again", timeoutMs);
    assert.notEqual((await api.get<SwapAnswer>(`/v1/swaps/${id}`)).status, "completed");
    signer.use();
    await assertOnce(network, [await swapIs(id, "completed")]);
  });

  it("delivers a message by asking validators that answer nobody else", async () => {
    const { network, api } = test;
    const { id } = await api.post<{ id: string }>("/v1/messages", { ...messageRequest(network), account: "alice" });
    await api.until<{ status: string }>(`/v1/messages/${id}`, ({ status }) => status === "delivered", timeoutMs);
    const port = JSON.parse(readFileSync(network.layout.validator("validator-1"), "utf8")).listen.port as number;
    const body = { originChainId: 1, destinationChainId: 2, generation: 1, epoch: "1", nonce: "1" };
    const headers = { "content-type": "application/json" };
    const asked = { method: "POST", headers, body: JSON.stringify(body) };
    assert.equal((await fetch(`http://127.0.0.1:${port}/attest`, asked)).status, 401);
  });

  it("changes its sealing key, and then starts without the one before", async () => {
    const { network, api } = test;
    writeFileSync(fileOf("next.key"), `0x${randomBytes(32).toString("hex")}\n`);
    const { sealingKey } = settings();
    const next = { file: fileOf("next.key") };
    await network.service.stop();
    edit(network.layout.service, { sealingKey: next });
    await assert.rejects(network.service.start(), /status 78/);
    assert.match(readFileSync(network.layout.log("service"), "utf8"), /previousSealingKeys: rows of swap_secrets open/);
    edit(network.layout.service, { previousSealingKeys: [sealingKey] });
    await network.service.start();
    const { id } = await api.post<SwapAnswer>("/v1/swaps", swapRequest(network));
    await swapIs(id, "completed");
    await network.service.stop();
    const { stdout } = await command("rotate", "--config", network.layout.service);
    assert.match(stdout, /no row needs a previous key/);
    const again = await command("rotate", "--config", network.layout.service, "--json");
    assert.equal(JSON.parse(again.stdout).done, true);
    edit(network.layout.service, { previousSealingKeys: [] });
    await network.service.start();
    const { id: later } = await api.post<SwapAnswer>("/v1/swaps", swapRequest(network));
    await swapIs(later, "completed");
  });

  it("has its keys, passwords, tokens and unrevealed secrets in no row, log, job or file", async () => {
    const { network } = test;
    // A secret that nobody shows: its lock is never answered.
    signer.use(() => "die");
    const { id } = await test.api.post<SwapAnswer>("/v1/swaps", { ...swapRequest(network), timelocks });
    const { hashlock } = await test.api.get<SwapAnswer>(`/v1/swaps/${id}`);
    await network.service.stop();
    const { dataDir } = network.layout;
    const embedded = await startEmbeddedDatabase({ log: quietLog, dataDir: join(dataDir, "db") });
    const db = createDb({ connectionString: embedded.connectionString, log: quietLog });
    const rows = await allRows(db);
    const [row] = await db.query<{ sealed: Buffer }>("select sealed from swap_secrets where hashlock = $1", [hashlock]);
    await db.close();
    await embedded.close();
    const sealer = createSealer(redact(hexToBytes(keyOf("next"))));
    const secret = sealer.open(row?.sealed ?? Buffer.alloc(0), `swap-secret:${hashlock}`).toString("hex");
    for (const name of [...Object.keys(network.accounts), "sealing", "next"]) {
      assertNowhere(dataDir, rows, formsOfKey(keyOf(name)));
    }
    assertNowhere(dataDir, rows, formsOfKey(secret));
    for (const text of [password, token]) {
      assertNowhere(dataDir, rows, [text, Buffer.from(text).toString("hex"), Buffer.from(text).toString("base64")]);
    }
    assert.ok(signer.requests.every(({ authorization }) => authorization === `Bearer ${token}`));
  });
});
