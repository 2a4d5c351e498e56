import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { z } from "zod";

const value = z.union([
  z.object({ stringValue: z.string() }),
  z.object({ intValue: z.union([z.number(), z.string()]) }),
  z.object({ doubleValue: z.number() }),
  z.object({ boolValue: z.boolean() }),
]);
const attributes = z.array(z.object({ key: z.string(), value })).default([]);
const traceId = z.string().regex(/^[0-9a-f]{32}$/);
const spanId = z.string().regex(/^[0-9a-f]{16}$/);

/** What OTLP over HTTP carries in JSON, as far as it is looked at here. */
const body = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes }),
      scopeSpans: z.array(
        z.object({
          spans: z.array(
            z.object({
              ...{ traceId, spanId, parentSpanId: spanId.optional(), name: z.string(), kind: z.number(), attributes },
              ...{ startTimeUnixNano: z.string().regex(/^\d+$/), endTimeUnixNano: z.string().regex(/^\d+$/) },
              status: z.object({ code: z.number().default(0), message: z.string().optional() }).default({ code: 0 }),
              links: z.array(z.object({ traceId, spanId })).default([]),
            }),
          ),
        }),
      ),
    }),
  ),
});

export type CollectedSpan = {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly name: string;
  /** Unix milliseconds. */
  readonly start: number;
  readonly end: number;
  readonly error: string | undefined;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly attributes: Readonly<Record<string, unknown>>;
  /** `service.instance.id` of the process that told of it. */
  readonly instance: unknown;
};

export type Collector = {
  readonly url: string;
  readonly spans: CollectedSpan[];
  /** Bodies as they came. */
  readonly raw: string[];
  readonly headers: (string | undefined)[];
  /** How requests are answered from now on. */
  mode: "take" | "hang" | "refuse";
  close(): Promise<void>;
};

/** A collector of traces that takes OTLP over HTTP, and refuses what is not that. */
export async function startCollector(): Promise<Collector> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    own.raw.push(text);
    own.headers.push(request.headers["x-collector-key"] as string | undefined);
    if (own.mode === "hang") return;
    if (own.mode === "refuse") return answer(response, 400, { message: "no" });
    if (request.url !== "/v1/traces" || request.headers["content-type"] !== "application/json") {
      return answer(response, 404, {});
    }
    const parsed = body.safeParse(JSON.parse(text));
    if (!parsed.success) return answer(response, 400, { message: parsed.error.message });
    own.spans.push(...spansOf(parsed.data));
    answer(response, 200, {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const own: Collector = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...{ spans: [], raw: [], headers: [], mode: "take" },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return own;
}

function answer(response: ServerResponse, status: number, content: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(content));
}

function spansOf({ resourceSpans }: z.output<typeof body>): CollectedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const instance = plain(resource.attributes)["service.instance.id"];
    return scopeSpans.flatMap(({ spans }) =>
      spans.map(({ startTimeUnixNano, endTimeUnixNano, status, attributes: given, ...span }) => ({
        ...{ ...span, parentSpanId: span.parentSpanId, attributes: plain(given), instance },
        ...{ start: Number(startTimeUnixNano) / 1e6, end: Number(endTimeUnixNano) / 1e6 },
        error: status.code === 2 ? (status.message ?? "") : undefined,
      })),
    );
  });
}

const plain = (given: z.output<typeof attributes>): Record<string, unknown> =>
  Object.fromEntries(given.map(({ key, value: each }) => [key, Object.values(each)[0]]));
