import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { zeroAddress, zeroHash } from "viem";
import type { ValidatorStatus } from "#relay/validator/status.ts";
import { localKey } from "../support/localChain.ts";
import { until } from "../support/until.ts";

const main = fileURLToPath(new URL("../../app/main.ts", import.meta.url));

describe("a validator's configuration", () => {
  let folder: string;
  let node: Server;
  let child: ChildProcess;
  let port: number;
  let output = "";

  /** As much of a chain as a validator needs to follow it: a first block. The path says which chain. */
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "lockstep-reload-"));
    node = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { id, method } = JSON.parse(Buffer.concat(chunks).toString()) as { id: number; method: string };
      const block = { number: "0x0", hash: zeroHash, parentHash: zeroHash, timestamp: "0x1" };
      const result = method === "eth_chainId" ? `0x${request.url?.slice(1)}` : block;
      response.end(JSON.stringify({ jsonrpc: "2.0", id, result }));
    });
    node.listen(0, "127.0.0.1");
    await once(node, "listening");
    const spare = createServer().listen(0, "127.0.0.1");
    await once(spare, "listening");
    port = (spare.address() as AddressInfo).port;
    await new Promise((resolve) => spare.close(resolve));
    write([1, 2]);
    child = start();
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk) => {
        output += String(chunk);
      });
    }
  });
  after(async () => {
    if (child.exitCode === null && child.kill("SIGTERM")) await once(child, "exit");
    node.closeAllConnections();
    await new Promise((resolve) => node.close(resolve));
    rmSync(folder, { recursive: true, force: true });
  });

  const start = () => {
    const env = { ...process.env, RELOAD_KEY: localKey(11), OTHER_KEY: localKey(12) };
    return spawn(process.execPath, [main, "validator", "--config", join(folder, "validator.json")], { env });
  };

  type Changes = { tls?: object; store?: string; key?: string };

  function write(chainIds: readonly number[], { tls, store = "one", key = "RELOAD_KEY" }: Changes = {}): void {
    const base = `http://127.0.0.1:${(node.address() as AddressInfo).port}`;
    const chains = Object.fromEntries(
      chainIds.map((chainId) => [
        `chain-${chainId}`,
        {
          ...{ chainId, endpoints: [`${base}/${chainId}`], finality: { blocks: 0 }, gateway: zeroAddress },
          ...{ blockSeconds: 1, inclusionSeconds: 1, skewSeconds: 1, timelock: zeroAddress },
        },
      ]),
    );
    const config = {
      ...{
        name: "one",
        key: { variable: key },
        listen: { port, ...(tls && { tls }) },
        relayerUrl: base,
        chains,
      },
      storeFile: join(folder, `${store}.sqlite`),
    };
    writeFileSync(join(folder, "validator.json"), JSON.stringify(config));
  }
  const chains = async (): Promise<string[] | undefined> => {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/health/live`);
      return ((await response.json()) as ValidatorStatus).chains.map(({ chain }) => chain);
    } catch {
      return undefined;
    }
  };
  const follows = (count: number) =>
    until(async () => (await chains())?.length === count, `it follows ${count} chains`, 20_000);

  it("is read again at SIGHUP, so that another chain is followed; one that is not valid changes nothing", async () => {
    await follows(2);
    write([1, 2, 3]);
    child.kill("SIGHUP");
    await follows(3);
    write([1]);
    child.kill("SIGHUP");
    await until(() => output.includes("going on with the one before"), "the third is refused");
    output = "";
    write([1, 2], { tls: { certificate: join(folder, "nothing.pem"), key: join(folder, "nothing.key") } });
    child.kill("SIGHUP");
    await until(() => output.includes("going on with the one before"), "a certificate that is not there is refused");
    assert.equal((await chains())?.length, 3);
    output = "";
    write([1, 2], { key: "OTHER_KEY" });
    child.kill("SIGHUP");
    await until(
      () => output.includes("a new key needs a storeFile of its own"),
      "what one key signed is not another's",
    );
    await follows(3);
    output = "";
    write([1, 2], { key: "OTHER_KEY", store: "other" });
    child.kill("SIGHUP");
    await follows(2);
    assert.equal(child.exitCode, null);
  });

  it("ends a second validator with the words that its port is taken", async () => {
    write([1, 2], { store: "two" });
    const second = start();
    let said = "";
    second.stderr?.on("data", (chunk) => {
      said += chunk;
    });
    const [status] = await once(second, "exit");
    assert.equal(status, 78, said);
    assert.match(said, new RegExp(`port-taken: another process listens at \\S+:${port} already`));
  });
});
