import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { describe, it } from "node:test";
import { renderAbis } from "#core/abi/generate.ts";

describe("the committed ABIs", () => {
  for (const { path, text } of renderAbis()) {
    it(`${basename(path)} is what the build makes (otherwise run core/abi/generate.ts)`, () => {
      assert.equal(readFileSync(path, "utf8"), text);
    });
  }
});
