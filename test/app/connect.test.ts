import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parseLeg, parseParty, parseSide } from "#app/commands/assets.ts";
import { connect } from "#app/commands/connect.ts";

describe("the service that a command asks", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "lockstep-connect-"));
    writeFileSync(join(folder, "service.json"), JSON.stringify({ http: { port: 7611 } }));
    writeFileSync(join(folder, "token"), "local\n");
    writeFileSync(join(folder, "other"), "named\n");
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const at = (url?: string, tokenFile?: string) => connect({ url, "token-file": tokenFile, "data-dir": folder });

  it("is the local network's where nothing else is said, with its token", () => {
    const { url, token } = at();
    assert.deepEqual([url, token?.reveal()], ["http://127.0.0.1:7611", "local"]);
    assert.equal(at("http://127.0.0.1:7611/").token?.reveal(), "local");
  });

  it("is shown the local network's token by no other name", () => {
    for (const url of ["http://127.0.0.1:7612", "https://example.com", "http://localhost:7611"])
      assert.equal(at(url).token, undefined, url);
    assert.equal(at("https://example.com", join(folder, "other")).token?.reveal(), "named");
  });
});

describe("short forms", () => {
  const address = `0x${"ab".repeat(20)}` as const;
  it("name assets and amounts exactly", () => {
    assert.deepEqual(parseLeg("source", "alpha:native:1000000000000000001", undefined), {
      ...{ chain: "alpha", asset: { type: "native" }, amount: 1_000_000_000_000_000_001n },
    });
    assert.deepEqual(parseSide("source", `beta:${address}`, undefined), {
      ...{ chain: "beta", asset: { type: "erc20", address } },
    });
    assert.deepEqual(parseLeg("source", `beta:erc721:${address}:7`, undefined), {
      ...{ chain: "beta", asset: { type: "erc721", address, tokenId: 7n }, amount: 1n },
    });
    assert.deepEqual(parseLeg("source", `beta:erc1155:${address}:7:3`, undefined), {
      ...{ chain: "beta", asset: { type: "erc1155", address, tokenId: 7n }, amount: 3n },
    });
  });

  it("are refused where anything is left to guess", () => {
    for (const text of ["", "alpha", "alpha:native:1.5", "alpha:native:-1", "alpha:native:1e18", "alpha:native:1:2"])
      assert.throws(() => parseLeg("source", text, undefined), /--source/, text);
    for (const text of ["beta:token:1", "beta:0x12:1", `beta:erc721:${address}`, `beta:erc1155:${address}:7`])
      assert.throws(() => parseLeg("source", text, undefined), /--source/, text);
    assert.throws(() => parseParty("0x12"), /expected an account/);
    assert.deepEqual(parseParty(address), { source: address, target: address });
  });
});
