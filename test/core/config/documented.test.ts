import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { it } from "node:test";
import { z } from "zod";
import { serviceConfigSchema } from "#core/config/service.ts";
import { validatorConfigSchema } from "#core/config/validator.ts";

const folder = new URL("../../../docs/", import.meta.url);
const pages = readdirSync(folder).filter((name) => name.endsWith(".md"));
const words = new Set(
  pages.flatMap((page) => {
    const code = readFileSync(new URL(page, folder), "utf8").match(/```[\s\S]*?```|^ {4}.*|`[^`\n]+`/gm) ?? [];
    return code.flatMap((text) => text.match(/\w+/g) ?? []);
  }),
);

type JsonSchema = { readonly properties?: Readonly<Record<string, JsonSchema>> } & Readonly<Record<string, unknown>>;

/** Paths of all settings of a schema; names that people choose themselves are left out of them. */
function settingsOf({ properties = {}, ...rest }: JsonSchema, path: readonly string[] = []): string[] {
  const own = Object.entries(properties).flatMap(([name, schema]) => {
    const place = [...path, name];
    return [place.join("."), ...settingsOf(schema, place)];
  });
  const parts = [rest.additionalProperties, rest.items, rest.anyOf, rest.oneOf, rest.allOf].flat();
  const isSchema = (part: unknown): part is JsonSchema => typeof part === "object" && part !== null;
  return [...own, ...parts.filter(isSchema).flatMap((part) => settingsOf(part, path))];
}

for (const [name, schema] of Object.entries({ service: serviceConfigSchema, validator: validatorConfigSchema }))
  it(`every setting of a ${name} is told of in the documentation`, () => {
    const settings = settingsOf(z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as JsonSchema);
    assert.ok(settings.length > 30, String(settings));
    const untold = settings.filter((setting) => !words.has(setting.split(".").at(-1) ?? ""));
    assert.deepEqual(untold, []);
  });
