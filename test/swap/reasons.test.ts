import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import { swapReasons } from "#swap/reasons.ts";
import { swapStatuses } from "#swap/status.ts";

const text = readFileSync(new URL("../../docs/swaps.md", import.meta.url), "utf8");

it("docs/swaps.md has every reason in its words, and every status", () => {
  const [statuses = "", reasons = ""] = text.slice(text.indexOf("## Status")).split("## Reasons");
  const rows = [...reasons.matchAll(/^\| `([a-z-]+)` \| (.+) \|$/gm)].map(([, code, words]) => [code, words]);
  assert.deepEqual(Object.fromEntries(rows), swapReasons);
  for (const status of swapStatuses) assert.ok(statuses.includes(`\`${status}\``), status);
});
