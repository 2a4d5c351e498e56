import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, it } from "node:test";
import fc from "fast-check";
import { createClient, type ServiceEvent } from "#app/client/index.ts";
import { createSseParser, type SseItem } from "#app/client/sse.ts";
import { isLockstepError } from "#core/kernel/errors.ts";

const parseWhole = (text: string) => createSseParser()(text);
const messagesOf = (items: readonly SseItem[]) => items.flatMap((item) => (item.kind === "message" ? [item] : []));

describe("server-sent events", () => {
  const word = fc.string({ unit: fc.constantFrom("a", "é", "日", ":", " ", "{", "x") });
  const lineEnd = fc.constantFrom("\n", "\r\n", "\r");
  const message = fc.record({
    id: fc.nat().map(String),
    event: fc.constantFrom("SwapLocked", "end", "a:b"),
    data: fc.array(word, { minLength: 1, maxLength: 3 }),
  });

  it("are the same however the stream is cut, and whatever ends its lines", () => {
    fc.assert(
      fc.property(fc.array(message), lineEnd, fc.array(fc.nat(), { maxLength: 30 }), (messages, end, places) => {
        const text = messages
          .flatMap(({ id, event, data }) => [
            ...[": a comment", `id: ${id}`, `event: ${event}`],
            ...data.map((each) => `data: ${each}`),
            "",
          ])
          .map((line) => `${line}${end}`)
          .join("");
        const cuts = [...new Set(places.map((place) => place % (text.length + 1)))].sort((a, b) => a - b);
        const parse = createSseParser();
        const pieces = [...cuts, text.length].map((cut, i) => text.slice(i === 0 ? 0 : cuts[i - 1], cut));
        assert.deepEqual(
          messagesOf(pieces.flatMap(parse)).map(({ id, message: { event, data } }) => ({ id, event, data })),
          messages.map(({ id, event, data }) => ({ id, event, data: data.join("\n") })),
        );
      }),
    );
  });

  it("keep to the standard where it is particular", () => {
    assert.deepEqual(messagesOf(parseWhole("\uFEFFdata:x\n\n"))[0]?.message, { event: "message", data: "x" });
    assert.deepEqual(messagesOf(parseWhole("data:  x\ndata\n\n"))[0]?.message.data, " x\n");
    assert.deepEqual(parseWhole("event: e\n\n"), [], "without data there is no message");
    assert.deepEqual(parseWhole("id: 7\n\n"), [{ kind: "id", id: "7" }]);
    assert.deepEqual(parseWhole("id: 7\0\n\n"), [], "an id with a zero byte does not count");
    assert.deepEqual(parseWhole("retry: 12\nretry: 1x\n"), [{ kind: "retry", ms: 12 }]);
    assert.deepEqual(messagesOf(parseWhole("data: half")), [], "what has not ended is not told");
  });
});

const event = (id: number) => ({
  ...{ id: String(id), type: "SwapLocked", kind: "swap", subject: "s", version: id, at: "2026-01-01T00:00:00Z" },
  ...{ chains: ["alpha"], data: {} },
});
const sent = (id: number) => `id: ${id}\nevent: SwapLocked\ndata: ${JSON.stringify(event(id))}\n\n`;
const ended = 'retry: 1\nevent: end\ndata: {"type":"end"}\n\n';

describe("the client's events", () => {
  let server: ReturnType<typeof createServer>;
  let asked: string[];
  let answers: ((response: ServerResponse, request: IncomingMessage) => void)[];

  beforeEach(async () => {
    asked = [];
    answers = [];
    server = createServer((request, response) => {
      asked.push(String(request.headers["last-event-id"]));
      const answer = answers.shift();
      if (answer) answer(response, request);
      else response.destroy();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  const clock = { now: () => Date.now(), sleep: async () => undefined };
  const client = () =>
    createClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: "t", clock });
  const stream = (...pieces: string[]) => {
    return (response: ServerResponse) => {
      response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
      for (const piece of pieces) response.write(piece);
      response.end();
    };
  };
  const torn = (...pieces: string[]) => {
    return (response: ServerResponse) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(pieces.join(""), () => response.destroy());
    };
  };
  async function take(count: number, after?: string): Promise<ServiceEvent[]> {
    const found: ServiceEvent[] = [];
    for await (const each of client().events(after === undefined ? {} : { after })) {
      found.push(each);
      if (found.length >= count) break;
    }
    return found;
  }

  it("come each once and in order, over connections that end, break and tell again", async () => {
    answers = [
      stream(": alive\nid: 4\n\n", sent(5), ended),
      torn(sent(5), sent(6), "id: 7\nda"),
      (response) => response.writeHead(503, { "content-type": "application/json" }).end("{}"),
      stream(sent(4), sent(6), sent(7), sent(9)),
    ];
    assert.deepEqual(
      (await take(4)).map(({ id }) => id),
      ["5", "6", "7", "9"],
    );
    assert.deepEqual(asked, ["undefined", "5", "6", "6"]);
  });

  it("begin behind what a first sign of life has said, although no event came", async () => {
    answers = [stream(": alive\nid: 41\n\n"), stream(sent(42))];
    await take(1);
    assert.deepEqual(asked, ["undefined", "41"]);
  });

  it("end with what the service refuses, and with what no longer answers", async () => {
    const problem = { type: "x", title: "t", status: 422, code: "chain-unknown", detail: "d", retryable: false };
    answers = [(response) => response.writeHead(422).end(JSON.stringify(problem))];
    await assert.rejects(take(1, "3"), (error) => isLockstepError(error, "chain-unknown"));
    assert.deepEqual(asked, ["3"]);
    await assert.rejects(take(1), (error) => isLockstepError(error, "service-unreachable"));
    assert.equal(asked.length, 11);
  });

  it("end without an error when they are told to", async () => {
    answers = [(response) => void response.writeHead(200, { "content-type": "text/event-stream" }).write(sent(1))];
    const ending = new AbortController();
    const found: string[] = [];
    for await (const { id } of client().events({}, { signal: ending.signal })) {
      found.push(id);
      ending.abort();
    }
    assert.deepEqual(found, ["1"]);
  });
});
