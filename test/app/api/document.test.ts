import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { z } from "zod";
import { apiRoutes } from "#app/api/apiRoutes.ts";
import { apiDocument } from "#app/api/document.ts";
import { errorTable } from "#core/kernel/errors.ts";
import { type Answer, type Document, readDocument, type Schema } from "#test/support/openapi/document.ts";

const document = (await apiDocument()) as Document;
const read = readDocument(document);
const { operations } = read;

describe("the OpenAPI document", () => {
  it("is the one in docs/openapi.json; `node app/api/generateDocument.ts` writes it", () => {
    const kept: unknown = JSON.parse(readFileSync(new URL("../../../docs/openapi.json", import.meta.url), "utf8"));
    assert.deepEqual(JSON.parse(JSON.stringify(document)), kept);
  });

  it("has every route under the name of its constant", () => {
    for (const [name, route] of Object.entries(apiRoutes)) {
      assert.equal(route.name, name, `${route.method} ${route.url}`);
      const path = route.url.replaceAll(/:(\w+)/g, "{$1}");
      assert.equal(document.paths[path]?.[route.method.toLowerCase()]?.operationId, name);
    }
    const ids = operations.map(({ operation, path }) => operation.operationId ?? path);
    assert.equal(new Set(ids).size, ids.length);
  });

  it("takes no text in a path or a query that a database refuses", () => {
    const taken: string[] = [];
    for (const { name, url, params, query } of Object.values(apiRoutes)) {
      const inPath = [...url.matchAll(/:(\w+)/g)].map(([, field = ""]) => field);
      const bad = Object.fromEntries(inPath.map((field) => [field, "a\0"]));
      if (inPath.length > 0 && (!params || params.safeParse(bad).success)) taken.push(`${name}: ${url}`);
      const { properties = {} } = query
        ? (z.toJSONSchema(query, { io: "input", unrepresentable: "any" }) as Schema)
        : {};
      for (const field of Object.keys(properties as object)) {
        if (query?.safeParse({ [field]: "a\0" }).success) taken.push(`${name}: ${field}`);
      }
    }
    assert.deepEqual(taken, []);
  });

  it("refers to nothing that is not there, and all its schemas are JSON Schema 2020-12", () => {
    for (const [, ref = ""] of JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)) {
      assert.notEqual(read.follow(ref), undefined, ref);
    }
    for (const schema of allSchemas()) read.misfit(schema, undefined);
  });

  it("says what each tag, route, parameter and field is about", () => {
    const tags = new Set(document.tags.map(({ name }) => name));
    const silent: string[] = [];
    for (const { path, method, operation } of operations) {
      assert.ok(operation.summary && operation.tags?.every((tag) => tags.has(tag)), `${method} ${path}`);
      for (const { name, schema, ...parameter } of operation.parameters ?? []) {
        if (!("description" in parameter) && !("description" in schema)) silent.push(`${method} ${path} ?${name}`);
      }
    }
    for (const [name, schema] of Object.entries(document.components.schemas ?? {})) undescribed(schema, name, silent);
    for (const { path, method, operation } of operations) {
      for (const { schema } of mediaOf(operation)) undescribed(schema, `${method} ${path}`, silent);
    }
    assert.deepEqual([...new Set(silent)], []);
  });

  it("names for each status the codes that have it, all of the error table", () => {
    for (const { path, method, operation } of operations) {
      for (const status of Object.keys(operation.responses).filter((each) => each >= "400")) {
        const answer = read.answerOf(operation, status);
        const codes = codesOf(answer);
        if (path.startsWith("/health/") && codes.length === 0) continue;
        assert.ok(codes.length > 0, `${method} ${path} ${status}`);
        for (const code of codes) assert.equal(String(errorTable[code as keyof typeof errorTable]?.status), status);
      }
    }
  });

  it("asks for the token where the route asks who calls", () => {
    for (const route of Object.values(apiRoutes)) {
      const path = route.url.replaceAll(/:(\w+)/g, "{$1}");
      const security = document.paths[path]?.[route.method.toLowerCase()]?.security;
      const open = route.access === "anyone" || route.access === "signed";
      assert.equal(security === undefined, open, `${route.method} ${route.url}`);
    }
    assert.deepEqual(document.components.securitySchemes?.bearer, { type: "http", scheme: "bearer" });
  });

  it("has examples of every body and answer, which fit the schemas of the document and of the service", () => {
    const missing: string[] = [];
    for (const [name, { examples = {}, body, answer }] of Object.entries(apiRoutes)) {
      if (body && !examples.body) missing.push(`${name}: body`);
      if (!examples.answer) missing.push(`${name}: answer`);
      if (body && examples.body) body.parse(examples.body);
      if (examples.answer) {
        const decoded: unknown = z.decode(answer, examples.answer as never);
        assert.deepEqual(z.encode(answer, decoded as never), examples.answer, `${name} is shown as it is on the wire`);
      }
    }
    assert.deepEqual(missing, []);
    for (const { path, method, operation } of operations) {
      for (const { schema, example } of mediaOf(operation)) {
        if (example !== undefined) assert.equal(read.misfit(schema, example), undefined, `${method} ${path}`);
      }
    }
  });
});

const mediaOf = (operation: (typeof operations)[number]["operation"]) =>
  [operation.requestBody, ...Object.values(operation.responses)].flatMap((each) =>
    each && "content" in each ? Object.values(each.content ?? {}) : [],
  );

const allSchemas = (): Schema[] => [
  ...Object.values(document.components.schemas ?? {}).map((schema) => schema as Schema),
  ...Object.values(document.components.responses ?? {}).flatMap((answer) =>
    Object.values((answer as Answer).content ?? {}).map(({ schema }) => schema),
  ),
  ...operations.flatMap(({ operation }) => [
    ...mediaOf(operation).map(({ schema }) => schema),
    ...(operation.parameters ?? []).map(({ schema }) => schema),
  ]),
];

function codesOf(answer: Answer | undefined): string[] {
  const [media] = Object.values(answer?.content ?? {});
  const [, { properties = {} } = {}] = (media?.schema.allOf ?? []) as { properties?: { code?: { enum: string[] } } }[];
  return properties.code?.enum ?? [];
}

/** Fields without a description of their own and none of what they refer to. */
function undescribed(schema: unknown, path: string, found: string[]): void {
  if (typeof schema !== "object" || schema === null) return;
  const { properties = {}, items, allOf = [], anyOf = [], oneOf = [] } = schema as Record<string, never>;
  for (const [name, field] of Object.entries(properties as Record<string, Schema>)) {
    const meant = typeof field.$ref === "string" ? (read.follow(field.$ref) as Schema) : field;
    if (!("description" in field) && !("description" in meant) && !("const" in field)) found.push(`${path}.${name}`);
    undescribed(field, `${path}.${name}`, found);
  }
  undescribed(items, `${path}[]`, found);
  for (const part of [...(allOf as unknown[]), ...(anyOf as unknown[]), ...(oneOf as unknown[])]) {
    undescribed(part, path, found);
  }
}
