import { isIP } from "node:net";
import { z } from "zod";

const seconds = (most: number) => z.number().positive().max(most);

/** What one request, one connection and one address may take of the HTTP server. */
export const limitsSchema = z
  .strictObject({
    bodyBytes: z
      .number()
      .int()
      .min(1_024)
      .default(256 * 1024),
    /** All header lines of a request together. */
    headerBytes: z
      .number()
      .int()
      .min(1_024)
      .default(16 * 1024),
    headers: z.number().int().min(10).max(1_000).default(64),
    /** Path and query. */
    urlBytes: z.number().int().min(256).default(4_096),
    connections: z.number().int().positive().default(2_000),
    connectionsPerAddress: z.number().int().positive().default(500),
    /** From the first byte, or the connection, to the end of the headers. */
    headerSeconds: seconds(300).default(10),
    /** The same to the end of the body. */
    requestSeconds: seconds(300).default(30),
    /** How long a connection stays open without a request. */
    keepAliveSeconds: seconds(600).default(10),
    /** A request is answered after this long whatever its handler does. */
    answerSeconds: seconds(600).default(30),
    /** Mean delay of the event loop, in milliseconds, above which requests are turned away. */
    eventLoopDelayMs: z.number().int().positive().default(1_000),
  })
  .refine(({ headerSeconds, requestSeconds }) => headerSeconds <= requestSeconds, {
    path: ["headerSeconds"],
    message: "expected no more than requestSeconds",
  })
  .prefault({});

export type HttpLimits = z.output<typeof limitsSchema>;

const rate = (perMinute: number, burst: number) =>
  z
    .strictObject({
      perMinute: z.number().int().positive().max(60_000_000).default(perMinute),
      /** Requests that may come at once after a time without any. */
      burst: z.number().int().positive().max(1_000_000).default(burst),
    })
    .prefault({});

/** How often a caller may ask, and an address, whoever asks from there. */
export const rateLimitSchema = z.strictObject({ caller: rate(1_000, 200), address: rate(1_000, 200) }).prefault({});

export type RateLimitConfig = z.output<typeof rateLimitSchema>;

/** Addresses or networks (CIDR) of proxies whose word about where a request comes from is believed. */
export const trustProxySchema = z
  .array(z.string().refine(isNetwork, "expected an IP address or a network such as 10.0.0.0/8"))
  .default([]);

function isNetwork(text: string): boolean {
  const [address = "", bits, ...rest] = text.split("/");
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return false;
  // A network of everybody would believe everybody.
  return bits === undefined || (/^[1-9]\d{0,2}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
}
