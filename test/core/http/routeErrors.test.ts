import assert from "node:assert/strict";
import { it } from "node:test";
import { z } from "zod";
import { defineRoute } from "#core/http/route.ts";
import { errorsOf } from "#core/http/routeErrors.ts";
import { serve } from "#core/http/serve.ts";
import { createHttpServer } from "#core/http/server.ts";
import { type ErrorCode, LockstepError } from "#core/kernel/errors.ts";
import { createLog } from "#core/observe/log.ts";

const makeThing = defineRoute({
  name: "makeThing",
  ...{ method: "POST", url: "/v1/things/:code", access: "anyone" },
  ...{ tag: "things", summary: "A thing", params: z.object({ code: z.string() }), status: 202 },
  ...{ answer: z.object({ id: z.string() }), location: "/v1/things/:id", errors: ["halted"] },
  examples: { answer: { id: "1" } },
});

async function open() {
  const undeclared: string[] = [];
  const app = await createHttpServer({
    ...{ log: createLog({ level: "silent", name: "test" }), title: "t", version: "1", description: "d" },
    onUndeclared: (route, code) => undeclared.push(`${route} ${code}`),
  });
  serve(app, makeThing, ({ params: { code } }) => {
    if (code !== "fine") throw new LockstepError(code as ErrorCode, "as asked");
    return { id: "a/b\r\nc" };
  });
  const post = (code: string) => app.inject({ method: "POST", url: `/v1/things/${code}` });
  return { app, undeclared, post };
}

it("tells of an answer with a code that its route does not declare, and answers all the same", async () => {
  const { app, undeclared, post } = await open();
  for (const code of ["halted", "conflict", "internal"]) await post(code);
  assert.deepEqual(undeclared, []);
  assert.equal((await post("quote-used")).json().code, "quote-used");
  assert.deepEqual(undeclared, ["POST /v1/things/:code quote-used"]);
  await app.inject({ method: "GET", url: "/v1/nothing" });
  assert.equal(undeclared.length, 1);
  await app.close();
});

it("says where a new thing is, whatever its id is made of", async () => {
  const { app, post } = await open();
  assert.equal((await post("fine")).headers.location, "/v1/things/a%2Fb%0D%0Ac");
  await app.close();
});

it("describes each status with its codes, the answer with its example and what it is called", async () => {
  const { app } = await open();
  await app.ready();
  const { paths, components } = JSON.parse(JSON.stringify(app.swagger()));
  const { operationId, responses } = paths["/v1/things/{code}"].post;
  assert.equal(operationId, "makeThing");
  assert.deepEqual(responses["202"].content["application/json"].example, { id: "1" });
  assert.ok("location" in responses["202"].headers);
  const { $ref } = responses["409"];
  const conflicts = components.responses[$ref.split("/").at(-1)];
  const [, { properties }] = conflicts.content["application/problem+json"].schema.allOf;
  assert.deepEqual(properties.code.enum, ["conflict", "halted", "idempotency-key-busy", "idempotency-key-reused"]);
  await app.close();
});

it("has callers in the list only where somebody has to call, and bodies only where something is changed", () => {
  const of = (method: string, access: "viewer" | "signed") => errorsOf({ method, access });
  assert.ok(of("GET", "viewer").has("unauthorized") && !of("GET", "viewer").has("body-too-large"));
  assert.ok(!of("POST", "signed").has("unauthorized") && of("POST", "signed").has("body-too-large"));
});
