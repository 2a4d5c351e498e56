import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { z } from "zod";
import { intentEvents } from "#core/sender/sender.ts";
import { relayEvents } from "#relay";
import { swapEvents } from "#swap";

/** Type of event → data as it stands in databases out there. Entries are added and never changed. */
const stored: Record<string, unknown[]> = JSON.parse(readFileSync(new URL("stored.json", import.meta.url), "utf8"));
const schemas: Record<string, z.ZodType> = { ...intentEvents, ...relayEvents, ...swapEvents };

describe("stored events", () => {
  it("have a sample of every type, and no sample without a type", () => {
    assert.deepEqual(Object.keys(stored).sort(), Object.keys(schemas).sort());
  });

  for (const [type, samples] of Object.entries(stored)) {
    it(`of type ${type} are read for ever, and written as they were read`, () => {
      const schema = schemas[type];
      assert.ok(schema);
      for (const sample of samples) assert.deepEqual(z.encode(schema, z.decode(schema, sample)), sample);
    });
  }
});
