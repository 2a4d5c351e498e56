import assert from "node:assert/strict";
import { it } from "node:test";
import { apiRoutes } from "#app/api/apiRoutes.ts";
import { createClient } from "#app/client/index.ts";
import { isLockstepError } from "#core/kernel/errors.ts";

/** Streams are `client.events`; attestations are pushed by validators, with their signature. */
const withoutMethod = ["streamEvents", "socketEvents", "pushAttestation"];
/** Methods that repeat others until something is so. */
const waiting = new Set(["until", "each"]);

/** Whatever a method takes, as far as a path needs it. */
const given = { origin: "alpha", destination: "beta", name: "alpha", address: "0x1", slot: "0x2" };
const argumentsFor: Readonly<Record<string, readonly unknown[]>> = {
  lanes: [given],
  state: [given],
  locks: ["alpha", "0x3"],
};

it("the client has a method for every route that is not a stream", async () => {
  const asked = new Set<string>();
  const client = createClient({
    url: "http://service.test",
    retries: 0,
    fetch: async (input, init) => {
      asked.add(`${init?.method} ${new URL(String(input)).pathname}`);
      throw new TypeError("fetch failed");
    },
  });
  for (const [group, methods] of Object.entries(client)) {
    if (typeof methods !== "object") continue;
    for (const [name, method] of Object.entries(methods)) {
      if (waiting.has(name)) continue;
      const isList = name === "list" || name === "add";
      const args = isList ? [{}] : (argumentsFor[group] ?? ["alpha", {}]);
      await assert.rejects(
        (method as (...all: readonly unknown[]) => Promise<unknown>)(...args),
        (error) => isLockstepError(error, "service-unreachable"),
        `${group}.${name}`,
      );
    }
  }
  const values: Readonly<Record<string, string>> = { ...given, chain: "alpha", lockId: "0x3", id: "alpha" };
  const missing = Object.entries(apiRoutes).filter(([name, { method, url }]) => {
    const path = url.replaceAll(/:(\w+)/g, (_, key: string) => values[key] ?? "?");
    return !withoutMethod.includes(name) && !asked.has(`${method} ${path}`);
  });
  assert.deepEqual(
    missing.map(([name]) => name),
    [],
  );
});
