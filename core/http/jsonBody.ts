import { createHash } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { LockstepError } from "../kernel/errors.ts";

/**
 * JSON is the one type of body; what repeats and the audit need to know of its bytes is their hash. What is no JSON, or
 * has names that could reach into prototypes, is `request-invalid`.
 */
export function parseJsonBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser("error", "error");
  app.removeAllContentTypeParsers();
  app.decorateRequest("bodyDigest", undefined);
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (request, body: Buffer, done) => {
    request.bodyDigest = createHash("sha256").update(body).digest();
    const text = body.toString();
    parse(request, text, (error, value) => done(error && (refusalOf(text) ?? error), value));
  });
}

/** More than fastify says of it, but not in the words of its parser, which quote what it was given. */
function refusalOf(text: string): LockstepError | undefined {
  const refusal = (words: string) =>
    new LockstepError("request-invalid", `body: ${words}`, { details: { field: "body" } });
  try {
    JSON.parse(text);
    return refusal("a field may not be named __proto__, nor constructor with a prototype in it");
  } catch (error) {
    const [place] = /at position \d+( \(line \d+ column \d+\))?/.exec(String(error)) ?? [];
    return place === undefined ? undefined : refusal(`expected JSON, which it stops to be ${place}`);
  }
}
