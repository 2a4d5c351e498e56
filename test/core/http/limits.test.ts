import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, get, type IncomingMessage } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import { z } from "zod";
import { limitsSchema } from "#core/config/limits.ts";
import { addressGroup, networksOf } from "#core/http/addresses.ts";
import { createHealthRoutes } from "#core/http/health.ts";
import { createHttpServer, type HttpServer } from "#core/http/server.ts";
import { quietLog } from "#test/support/databases.ts";
import { until } from "#test/support/until.ts";

/** More of them than this take `ulimit -n` of twice as many, since both ends are in this process. */
const flood = Number(process.env.LOCKSTEP_TEST_CONNECTIONS ?? 300);

describe("the limits of the HTTP server", () => {
  let app: HttpServer;
  const sockets = new Set<Socket>();
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    await app.close();
  });

  async function open(limits: object, trustProxy: readonly string[] = []): Promise<number> {
    const options = { log: quietLog, title: "t", version: "1", description: "d", trustProxy };
    app = await createHttpServer({ ...options, limits: limitsSchema.parse(limits) });
    await createHealthRoutes(() => [])(app);
    app.get("/v1/address", { config: { access: "anyone" } }, async ({ ip }) => ({ ip }));
    app.get("/v1/never", { config: { access: "anyone" } }, () => new Promise(() => undefined));
    const body = z.strictObject({ text: z.string() });
    app.post("/v1/echo", { config: { access: "anyone" }, schema: { body } }, async ({ body: { text } }) => ({ text }));
    await app.listen({ host: "127.0.0.1", port: 0 });
    return (app.server.address() as AddressInfo).port;
  }

  /** A bare connection, and all that it is answered until it ends. */
  function dial(port: number): { socket: Socket; answer: Promise<string> } {
    const socket = connect(port, "127.0.0.1");
    sockets.add(socket);
    const chunks: Buffer[] = [];
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", () => undefined);
    const answer = new Promise<string>((resolve) => {
      socket.on("close", () => resolve(Buffer.concat(chunks).toString()));
    });
    return { socket, answer };
  }

  const ask = async (port: number, path: string, agent?: Agent): Promise<IncomingMessage> => {
    const request = get({ port, path, host: "127.0.0.1", ...(agent && { agent }) });
    const [answer] = (await once(request, "response")) as [IncomingMessage];
    answer.resume();
    await once(answer, "end");
    return answer;
  };

  it("ends requests whose headers or bodies do not arrive in time, and connections that send nothing", async () => {
    const port = await open({ headerSeconds: 0.2, requestSeconds: 0.5 });
    const silent = dial(port);
    const headers = dial(port);
    headers.socket.write("GET /health/live HTTP/1.1\r\nhost: a\r\nx-slow: ");
    const body = dial(port);
    body.socket.write(
      "POST /v1/echo HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{",
    );
    for (const { answer } of [silent, headers, body]) assert.match(await answer, /^HTTP\/1\.1 408 .*request-too-slow/s);
  });

  it("refuses headers, paths and bodies beyond their limits, with their codes", async () => {
    const port = await open({ headerBytes: 4_096, headers: 20, urlBytes: 300, bodyBytes: 1_024 });
    const many = Array.from({ length: 30 }, (_, index) => `x-${index}: 1\r\n`).join("");
    const json = JSON.stringify({ text: "x".repeat(2_000) });
    const post = "POST /v1/echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\n";
    for (const [request, status, code] of [
      [`GET /health/live HTTP/1.1\r\nhost: a\r\nx-large: ${"x".repeat(8_000)}\r\n\r\n`, 431, "headers-too-large"],
      [`GET /health/live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${many}\r\n`, 431, "headers-too-large"],
      [`GET /${"x".repeat(400)} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`, 414, "url-too-long"],
      [`${post}content-length: ${json.length}\r\n\r\n${json}`, 413, "body-too-large"],
      [
        `${post}transfer-encoding: chunked\r\n\r\n${json.length.toString(16)}\r\n${json}\r\n0\r\n\r\n`,
        413,
        "body-too-large",
      ],
      ["NONSENSE\r\n\r\n", 400, "request-invalid"],
      ["GET /health/live HTTP/1.1\r\nconnection: close\r\n\r\n", 400, "request-invalid"],
      ["GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\nexpect: much\r\n\r\n", 404, "not-found"],
    ] as const) {
      const { socket, answer } = dial(port);
      socket.write(request);
      const text = await answer;
      assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} .*"code":"${code}"`, "s"), request.slice(0, 60));
      assert.match(text, /\r\ncontent-type: application\/problem\+json/i);
    }
  });

  it("answers in time for a handler that does not", async () => {
    const port = await open({ answerSeconds: 0.05 });
    const answer = await fetch(`http://127.0.0.1:${port}/v1/never`);
    assert.deepEqual([answer.status, ((await answer.json()) as { code: string }).code], [503, "answer-overdue"]);
  });

  it("goes on answering while many connections hang on it, and takes no more of them than it may", async () => {
    const most = Math.floor(flood * 0.8);
    const port = await open({ connections: most + 1, connectionsPerAddress: most + 1 });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    assert.equal((await ask(port, "/health/live", agent)).statusCode, 200);
    const before = process.memoryUsage().rss;
    let closed = 0;
    for (let made = 0; made < flood; made += 100) {
      const round = Array.from({ length: Math.min(100, flood - made) }, () => dial(port));
      for (const { socket, answer } of round) {
        socket.write("GET /health/live HTTP/1.1\r\nhost: a\r\nx-slow: ");
        void answer.then(() => (closed += 1));
      }
      assert.equal((await ask(port, "/health/live", agent)).statusCode, 200);
    }
    await until(() => closed >= flood - most, "those beyond the limit are closed");
    const count = await new Promise((resolve) => app.server.getConnections((_error, all) => resolve(all)));
    assert.ok(Number(count) <= most + 1, String(count));
    assert.equal((await ask(port, "/health/live", agent)).statusCode, 200);
    // Both ends of every connection are in this process.
    const grown = process.memoryUsage().rss - before;
    assert.ok(grown < 64 * 2 ** 20 + flood * 50_000, `${grown} bytes for ${flood} connections`);
    agent.destroy();
  });

  it("closes what one address has too much of", async () => {
    const port = await open({ connections: 100, connectionsPerAddress: 3 });
    const held = Array.from({ length: 3 }, () => dial(port));
    await Promise.all(held.map(({ socket }) => once(socket, "connect")));
    assert.equal(await dial(port).answer, "");
    held[0]?.socket.destroy();
    await until(async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/health/live`).catch(() => undefined);
      return answer?.status === 200;
    }, "the place of a closed connection is free again");
  });

  it("believes the header about where a request comes from of trusted proxies only", async () => {
    const ipBehind = async (trusted: readonly string[]) => {
      const port = await open({ connectionsPerAddress: 1 }, trusted);
      const headers = { "x-forwarded-for": "203.0.113.9, 198.51.100.7" };
      const found = (await (await fetch(`http://127.0.0.1:${port}/v1/address`, { headers })).json()) as { ip: string };
      return found.ip;
    };
    assert.equal(await ipBehind([]), "127.0.0.1");
    await app.close();
    assert.equal(await ipBehind(["10.0.0.0/8"]), "127.0.0.1");
    await app.close();
    assert.equal(await ipBehind(["127.0.0.1"]), "198.51.100.7", "what the proxy was told itself may be made up");
  });

  it("turns away all but questions for health while it is behind", async () => {
    const port = await open({ eventLoopDelayMs: 1 });
    const busy = setInterval(() => {
      const end = performance.now() + 40;
      while (performance.now() < end);
    }, 1);
    try {
      const shed = await until(async () => {
        const answer = await fetch(`http://127.0.0.1:${port}/v1/address`);
        return answer.status === 503 && answer;
      }, "requests are turned away");
      assert.ok(Number(shed.headers.get("retry-after")) > 0);
      assert.equal(((await shed.json()) as { code: string }).code, "overloaded");
      assert.equal((await ask(port, "/health/live")).statusCode, 200);
    } finally {
      clearInterval(busy);
    }
  });

  it("turns nobody away because it stood still for a while", async () => {
    const port = await open({ eventLoopDelayMs: 60_000 });
    for (let times = 0; times < 3; times++) {
      const end = performance.now() + 1_100;
      while (performance.now() < end);
      const statuses = await Promise.all(
        [1, 2, 3].map(async () => (await fetch(`http://127.0.0.1:${port}/v1/address`)).status),
      );
      assert.deepEqual(statuses, [200, 200, 200]);
    }
  });
});

describe("addresses", () => {
  it("count by themselves, those of IPv6 by the network that one customer has", () => {
    for (const [address, group] of [
      ["192.0.2.1", "192.0.2.1"],
      ["::ffff:192.0.2.1", "192.0.2.1"],
      ["2001:db8:0001:2::1", "2001:db8:1:2::/64"],
      ["2001:DB8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"],
      ["2001:db8::1", "2001:db8:0:0::/64"],
      ["::1", "0:0:0:0::/64"],
      ["fe80::1%eth0", "fe80:0:0:0::/64"],
      ["1::", "1:0:0:0::/64"],
      // As some proxies write them.
      ["192.0.2.1:4711", "192.0.2.1"],
      ["[2001:db8::1]:4711", "2001:db8:0:0::/64"],
      ["nonsense:1", "unknown"],
      ["unix", "unknown"],
    ] as const) {
      assert.equal(addressGroup(address), group, address);
    }
  });

  it("are in the networks that are named and in no other", () => {
    const isIn = networksOf(["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"]);
    const given = [
      "10.255.0.1",
      "::ffff:10.0.0.1",
      "192.0.2.1",
      "2001:db8:9::1",
      "11.0.0.1",
      "192.0.2.2",
      "2001:db9::",
    ];
    assert.deepEqual(given.map(isIn), [true, true, true, true, false, false, false]);
  });
});
