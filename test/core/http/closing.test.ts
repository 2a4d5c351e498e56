import assert from "node:assert/strict";
import { Agent, get, type IncomingMessage } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterEach, describe, it } from "node:test";
import { z } from "zod";
import { limitsSchema } from "#core/config/limits.ts";
import { defineRoute } from "#core/http/route.ts";
import { serve } from "#core/http/serve.ts";
import { createHttpServer, type HttpServer } from "#core/http/server.ts";
import { quietLog } from "#test/support/databases.ts";
import { until } from "#test/support/until.ts";

const slow = defineRoute({
  ...{ method: "GET", url: "/slow", access: "anyone", tag: "t", summary: "answers when it is let" },
  answer: z.object({ done: z.boolean() }),
});

describe("a server that closes", () => {
  let app: HttpServer | undefined;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  afterEach(async () => {
    agent.destroy();
    await app?.close();
  });

  async function open(limits: object = {}) {
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    app = await createHttpServer({
      ...{ log: quietLog, title: "test", version: "1", description: "", limits: limitsSchema.parse(limits) },
    });
    serve(app, slow, async () => {
      asked.resolve();
      await answer.promise;
      return { done: true };
    });
    await app.listen({ host: "127.0.0.1", port: 0 });
    return { app, asked, answer, port: (app.server.address() as AddressInfo).port };
  }
  const ask = (port: number) =>
    new Promise<{ status: number | undefined; connection: string | undefined }>((resolve, reject) => {
      const request = get({ host: "127.0.0.1", port, path: "/slow", agent }, (response: IncomingMessage) => {
        const { statusCode: status, headers } = response.resume();
        response.on("end", () => resolve({ status, connection: headers.connection }));
      });
      request.on("error", reject);
    });

  it("answers what it was asked before, and ends the connection with that", async () => {
    const { app: server, asked, answer, port } = await open();
    const answered = ask(port);
    await asked.promise;
    const closed = server.close();
    await until(() => !server.server.listening);
    answer.resolve();
    assert.deepEqual(await answered, { status: 200, connection: "close" });
    await closed;
    await assert.rejects(ask(port), /ECONNREFUSED/);
  });

  it("waits for no request that does not come to its end", async () => {
    const { app: server, port } = await open({ answerSeconds: 0.2 });
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => undefined);
    await new Promise<void>((resolve) => socket.write("GET /slow HTTP/1.1\r\nHost: ", () => resolve()));
    const ended = new Promise((resolve) => socket.on("close", resolve));
    await server.close();
    await ended;
  });
});
