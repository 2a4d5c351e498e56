import { z } from "zod";
import { address, uint } from "../kernel/codec.ts";
import { httpUrl, socketUrl } from "./url.ts";

const seconds = z.number().nonnegative();

/** A balance in wei, or enough for so many transactions at present prices. */
const balanceAlarm = z.union(
  [z.strictObject({ wei: uint }), z.strictObject({ transactions: z.number().int().positive() })],
  'expected { "wei": "…" } or { "transactions": n }',
);

const endpointSchema = z.strictObject({
  /** JSON-RPC over HTTP. */
  url: httpUrl,
  /** Where the same node tells about new blocks (`eth_subscribe`). */
  webSocket: socketUrl.refine((url) => !url.includes("#"), "a WebSocket's URL has no fragment").optional(),
  /** Most HTTP requests under way at a time; 16 when left out. */
  maxConcurrent: z.number().int().min(1).max(1_000).optional(),
  /** Most JSON-RPC requests in one HTTP request; 50 when left out, 1 for nodes that know no batches. */
  maxBatch: z.number().int().min(1).max(1_000).optional(),
});

export type EndpointConfig = z.output<typeof endpointSchema>;

/** The spelling under which an endpoint is the same as another. */
const addressOf = (endpoint: string | EndpointConfig): string => {
  const url = typeof endpoint === "string" ? endpoint : endpoint.url;
  return URL.canParse(url) ? new URL(url).href : url;
};

/**
 * One chain as the configuration file names it. Every bound that deadlines are computed from is here, so that they can
 * be read off in one place.
 */
export const chainConfigSchema = z
  .strictObject({
    chainId: z.number().int().positive(),
    /** Nodes, best first: the URL of JSON-RPC over HTTP, or an object that says more. */
    endpoints: z
      .array(
        z.union(
          [httpUrl, endpointSchema],
          'expected the http(s) URL of a node, or { "url": "https://…" } with what else is known of it',
        ),
      )
      .min(1),
    /** How many of the endpoints, more than half, have to agree on whatever is read at a block. One when left out. */
    agreement: z.number().int().min(1).optional(),
    /** Blocks that an endpoint may be behind the best before others are preferred. */
    maxLag: z.number().int().nonnegative().default(5),
    /** When a block counts as final: with that many blocks on top, or by the chain's own tag. */
    finality: z.union(
      [z.strictObject({ blocks: z.number().int().min(0).max(100_000) }), z.literal("safe"), z.literal("finalized")],
      'expected { "blocks": n }, "safe" or "finalized"',
    ),
    /** Milliseconds between two looks at the head while no node tells about new ones. */
    pollMs: z.number().int().positive().default(50),
    /** First block whose logs matter; usually the one the contracts were deployed in. */
    startBlock: z.number().int().nonnegative().default(0),
    /** Most blocks that one request for logs may span. */
    logWindow: z.number().int().positive().default(2_000),
    /** Milliseconds between two second looks at what became final, for logs that the first one was not shown. */
    recheckMs: z.number().int().positive().default(5_000),
    /** Expected seconds between two blocks. */
    blockSeconds: seconds,
    /** Makes no block while nothing is to go into one, as local chains: an old head is no sign of a standstill. */
    idles: z.boolean().default(false),
    /** Seconds within which a well-paid transaction is mined, congestion included. */
    inclusionSeconds: seconds,
    /** Seconds that the chain may stand still altogether, as a rollup's sequencer can; counts in every deadline. */
    outageSeconds: seconds.default(0),
    /** Most seconds between a block's timestamp and true time. */
    skewSeconds: seconds,
    gateway: address,
    timelock: address,
    /** Where headers of other chains are attested and state is proven against them; left out where there is none. */
    stateOracle: address.optional(),
    /** Wei a gas that transactions offer at most, by kind such as `relay.deliver`, or `default`. */
    feeCeilings: z.record(z.string().min(1), uint).default({}),
    /** Balances under which an account raises an alarm, by account, or `default`. */
    balanceAlarms: z.record(z.string().min(1), balanceAlarm).default({}),
  })
  .refine(({ endpoints }) => new Set(endpoints.map(addressOf)).size === endpoints.length, {
    path: ["endpoints"],
    message: "an endpoint is named twice: it would agree with itself",
  })
  .refine(({ endpoints, agreement = 1 }) => agreement <= endpoints.length, {
    path: ["agreement"],
    message: "more than there are endpoints",
  })
  .refine(({ endpoints, agreement = 1 }) => agreement === 1 || agreement * 2 > endpoints.length, {
    path: ["agreement"],
    message: "half of the endpoints or fewer could agree on one thing and the others on another",
  })
  .readonly();

export type ChainConfig = z.output<typeof chainConfigSchema>;
