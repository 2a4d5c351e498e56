import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { type Analysis, analyse, type CompilerInput } from "./analyse.ts";
import { incompatibility, stableLayout } from "./layouts.ts";

const contractsFolder = join(import.meta.dirname, "../../../node_modules/@openzeppelin/contracts");
const source = "Vaults.sol";

/** A contract as it was released, and what somebody might make of it. */
const vaults = {
  Released: { fields: "uint64 epoch; mapping(uint256 => Item) items;", item: "bytes32 hash; uint64 until;" },
  Appended: {
    fields: "uint64 epoch; mapping(uint256 => Item) items; bool paused;",
    item: "bytes32 hash; uint64 until; uint32 weight;",
  },
  Padded: { fields: "uint64 epoch; bool paused; mapping(uint256 => Item) items;", item: "bytes32 hash; uint64 until;" },
  Inserted: {
    fields: "uint64 epoch; uint256 count; mapping(uint256 => Item) items;",
    item: "bytes32 hash; uint64 until;",
  },
  Reordered: { fields: "uint64 epoch; mapping(uint256 => Item) items;", item: "uint64 until; bytes32 hash;" },
  Renamed: { fields: "uint64 era; mapping(uint256 => Item) items;", item: "bytes32 hash; uint64 until;" },
  Removed: { fields: "mapping(uint256 => Item) items;", item: "bytes32 hash; uint64 until;" },
} as const;

const vault = (name: string, { fields, item }: { fields: string; item: string }, body = "") => `
contract ${name} is UUPSUpgradeable {
  struct Item { ${item} }
  /// @custom:storage-location erc7201:test.vault
  struct VaultStorage { ${fields} }
  ${body}
  function _authorizeUpgrade(address) internal override {}
}`;

const unsafeBody = `
  uint256 private count = 7;
  address private immutable owner;
  constructor() { owner = msg.sender; }
  function end(address payable to) external { selfdestruct(to); }
  function run(address code, bytes calldata data) external { code.delegatecall(data); }`;

describe("the check of upgrade safety", () => {
  let analyses: Record<string, Analysis>;
  before(() => {
    const names = [...Object.keys(vaults), "Unsafe"];
    const content = [
      "pragma solidity 0.8.37;",
      'import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";',
      ...Object.entries(vaults).map(([name, storage]) => vault(name, storage)),
      vault("Unsafe", vaults.Released, unsafeBody),
    ].join("\n");
    const input = withImports(content);
    const answers = analyse(input, Object.fromEntries(names.map((name) => [`${source}:${name}`, {}])));
    analyses = Object.fromEntries(names.map((name, i) => [name, answers[i]!]));
  });
  const upgrade = (from: string, to: string) =>
    incompatibility(stableLayout(analyses[from]!.layout), analyses[to]!.layout);

  it("finds nothing wrong with a safe contract, nor with fields where nothing was", () => {
    assert.equal(analyses.Released!.unsafe, undefined);
    assert.equal(upgrade("Released", "Released"), undefined);
    assert.equal(upgrade("Released", "Appended"), undefined);
    assert.equal(upgrade("Released", "Padded"), undefined);
  });

  it("tells an added field from no change", () => {
    assert.notDeepEqual(stableLayout(analyses.Released!.layout), stableLayout(analyses.Appended!.layout));
  });

  it("refuses initial values, constructors, immutables, selfdestruct and delegatecall", () => {
    const unsafe = analyses.Unsafe!.unsafe ?? "";
    for (const expected of [
      /`count` is assigned an initial value/,
      /`owner` is immutable/,
      /has a constructor/,
      /selfdestruct/,
      /delegatecall/,
    ]) {
      assert.match(unsafe, expected);
    }
  });

  for (const [change, expected] of [
    ["Inserted", /Inserted `count`/],
    ["Reordered", /In struct Reordered.Item\s+- Deleted `hash`/],
    ["Renamed", /Renamed `epoch` to `era`/],
    ["Removed", /Deleted `epoch`/],
  ] as const) {
    it(`refuses namespaced storage with a field ${change.toLowerCase()}`, () => {
      assert.match(upgrade("Released", change) ?? "", expected);
    });
  }
});

/** A compiler input of one source and whatever of OpenZeppelin it imports. */
function withImports(content: string): CompilerInput {
  const sources: Record<string, { content: string }> = {};
  const add = (name: string, text: string) => {
    sources[name] = { content: text };
    for (const [, path = ""] of text.matchAll(/^import .*?"([^"]+)";/gm)) {
      const imported = path.startsWith(".") ? join(name, "..", path) : path;
      if (!sources[imported]) add(imported, readFileSync(join(contractsFolder, "../..", imported), "utf8"));
    }
  };
  add(source, content);
  return { language: "Solidity", sources, settings: {} } as CompilerInput;
}
