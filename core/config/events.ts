import { z } from "zod";

const count = z.number().int().positive();

/** Streams of events over HTTP and WebSockets. */
export const eventsConfigSchema = z.strictObject({
  /** Seconds after which a stream ends, so that whoever opened it proves again who it is. */
  maxAgeSeconds: count.max(86_400).default(3_600),
  /** Most streams that are open at a time, of this process. */
  maxStreams: count.max(100_000).default(5_000),
  /** Of them, those of one caller. */
  maxStreamsPerCaller: count.max(100_000).default(100),
  /** Bytes that may wait for a reader before it is sent away. */
  maxBufferedBytes: count.min(65_536).default(1_048_576),
});

/** A host as a URL has it, with its port where it is not that of the scheme. */
const hostOfUrl = z
  .string()
  .refine(
    (text) => URL.canParse(`http://${text}/`) && new URL(`http://${text}/`).host === text,
    "expected a host, with a port where it is not the usual one, such as 127.0.0.1:9000",
  );

/** What the service sends to URLs that others gave it. */
export const webhooksConfigSchema = z.strictObject({
  /** Ports that events are sent to. */
  ports: z.array(z.number().int().min(1).max(65_535)).default([443, 8443]),
  /**
   * Hosts that may be anywhere, also in a private network, with any port and over http: for tests and development. Exactly
   * as in the URL.
   */
  allowHosts: z.array(hostOfUrl).default([]),
  /** Most webhooks. */
  maxWebhooks: count.max(1_000).default(50),
  /** Milliseconds for one delivery. */
  timeoutMs: count.max(60_000).default(10_000),
  /** Deliveries of one event that fail before the webhook stops: 36 take about a day. */
  attempts: count.max(1_000).default(36),
});
