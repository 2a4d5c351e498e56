import { createHash } from "node:crypto";
import { pipeline, Transform } from "node:stream";
import type { FastifyRequest } from "fastify";
import type { HttpServer } from "../httpServer.ts";
import { unauthorized } from "./bearer.ts";

/** Sees to it that a request's body is the one that was signed. */
export type BodyDigests = {
  /** Refuses the request unless the body that arrives has this SHA-256, in hex. */
  expect(request: FastifyRequest, sha256: string): void;
};

const emptyHash = createHash("sha256").digest("hex");

/** Hashes the bytes as they arrive, before anything parses them; only for requests of which a hash is expected. */
export function watchBodies(app: HttpServer): BodyDigests {
  const expected = new WeakMap<FastifyRequest, string>();
  const right = new WeakSet<FastifyRequest>();

  app.addHook("preParsing", (request, _reply, payload, done) => {
    const wanted = expected.get(request);
    if (wanted === undefined) return done(null, payload);
    const hash = createHash("sha256");
    const hashing = new Transform({
      transform(chunk: Buffer, _encoding, next) {
        hash.update(chunk);
        next(null, chunk);
      },
      flush(next) {
        if (hash.digest("hex") !== wanted) return next(wrongBody());
        right.add(request);
        next();
      },
    });
    // An error of either side ends both; whoever reads the body hears of it.
    pipeline(payload, hashing, () => undefined);
    done(null, hashing);
  });
  // Not every body is read: none of a GET, none where the headers announce none.
  app.addHook("preValidation", (request, _reply, done) => {
    const wanted = expected.get(request);
    const isRight = wanted === undefined || right.has(request) || (wanted === emptyHash && !announcesBody(request));
    done(isRight ? undefined : wrongBody());
  });
  return { expect: (request, sha256) => void expected.set(request, sha256) };
}

const announcesBody = ({ headers }: FastifyRequest): boolean =>
  headers["transfer-encoding"] !== undefined || (headers["content-length"] ?? "0") !== "0";

const wrongBody = () => unauthorized("the body is not the one that was signed");
