import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { systemClock } from "#core/kernel/clock.ts";
import { createPace } from "#relay/validator/pace.ts";
import { createValidatorServer, type ValidatorServer } from "#relay/validator/server.ts";
import { quietLog } from "../../support/databases.ts";

const nobodyAsks = () => Promise.reject(new Error("nobody asks for that"));

describe("what a validator answers to broken requests", () => {
  let server: ValidatorServer;
  let port: number;

  before(async () => {
    server = createValidatorServer({
      ...{ listen: { host: "127.0.0.1", port: 0 }, attest: nobodyAsks, attestHeader: nobodyAsks },
      ...{ pace: createPace({ perSecond: 1_000, clock: systemClock }), log: quietLog },
      health: () => ({ name: "one", status: "following", chains: [], lanes: [] }),
    });
    port = Number(new URL((await server.listen()).url).port);
  });
  after(() => server.close());

  const answerTo = (request: string) =>
    new Promise<string>((resolve, reject) => {
      let answer = "";
      const socket = connect(port, "127.0.0.1", () => socket.write(request));
      socket.on("data", (chunk) => {
        answer += chunk;
      });
      socket.on("error", reject).on("close", () => resolve(answer));
    });

  const post = "POST /attest HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\n";
  for (const [what, request, status, words] of [
    ["too large headers", `GET / HTTP/1.1\r\nhost: a\r\nx: ${"x".repeat(20_000)}\r\n\r\n`, 431, "headers-too-large"],
    ["what is no HTTP", "NONSENSE\r\n\r\n", 400, "expected an HTTP request"],
    ["a path that cannot be read", "GET /%ZZ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 400, "request-invalid"],
    ["no body", `${post}content-length: 0\r\n\r\n`, 400, '"field":"body"'],
    ["a body that is no JSON", `${post}content-length: 1\r\n\r\n{`, 400, '"field":"body"'],
    ["a body without fields", `${post}content-length: 2\r\n\r\n{}`, 400, '"field":"originChainId"'],
  ] as const) {
    it(`is a problem document for ${what}`, async () => {
      const answer = await answerTo(request);
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} .*\r\ncontent-type: application/problem\\+json`, "is"));
      assert.ok(answer.includes(words), answer);
    });
  }
});
