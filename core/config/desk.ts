import { z } from "zod";
import { address, uint } from "../kernel/codec.ts";

const name = z.string().min(1);
const positive = uint.refine((value) => value > 0n, "expected an amount above zero");

/** What an asset is called where it is priced. */
const symbol = z.string().regex(/^[A-Za-z0-9.-]{1,20}$/, "expected up to 20 letters, digits, dots and dashes");

const asset = z.strictObject({
  chain: name,
  asset: z.discriminatedUnion("type", [
    z.strictObject({ type: z.literal("native") }),
    z.strictObject({ type: z.literal("erc20"), address }),
  ]),
  decimals: z.number().int().min(0).max(36),
  /** Assets of one symbol are worth the same. */
  symbol,
  /** Smallest units that swaps which have not ended may hold or be promised of it at a time; as many as there are when left out. */
  mostCommitted: uint.optional(),
  /** The same for the swaps of one taker. */
  mostPerTaker: uint.optional(),
  /** Smallest units that are never given away. */
  leastInventory: uint.prefault("0"),
});

const pair = z.strictObject({
  /** Names among `assets`: what the taker gives, and what the desk gives. */
  source: name,
  target: name,
  /** Smallest units of the source asset that a trade has at least and at most. */
  least: positive,
  most: positive,
  /** Kept of what the desk gives, in hundredths of a percent. */
  feeBps: z.number().int().min(0).max(9_999),
  /** Kept besides, in smallest units of the target asset. */
  fixedFee: uint.prefault("0"),
});

/** A positive number as people write it; read exactly. */
const decimal = z
  .string()
  .regex(/^(?:0|[1-9][0-9]{0,29})(?:\.[0-9]{1,30})?$/, 'expected a decimal number as a string, such as "2500.25"')
  .refine((text) => /[1-9]/.test(text), "expected a price above zero");

/** Prices by pair of symbols: what one whole unit of the first is worth in whole units of the second. */
export const priceTableSchema = z.record(
  z.string().regex(/^[A-Za-z0-9.-]{1,20}\/[A-Za-z0-9.-]{1,20}$/, 'expected two symbols such as "ETH/USD"'),
  decimal,
);

const prices = z.union(
  [
    z.strictObject({ table: priceTableSchema }),
    z.strictObject({ file: z.string().min(1), maxAgeSeconds: z.number().int().positive() }),
  ],
  'expected { "table": { "ETH/USD": "2500" } } or { "file": "…", "maxAgeSeconds": n }',
);

/** The managed account that takes the other side of swaps at prices of its own, and what it may risk by that. */
export const deskConfigSchema = z
  .strictObject({
    account: name,
    assets: z.record(name, asset),
    pairs: z.array(pair).min(1),
    prices,
    /** Seconds from now until a quote is worth nothing. */
    quoteSeconds: z.number().int().min(1).max(3_600).default(30),
    /** How much more than the present price gives a quote may promise when it is redeemed, in hundredths of a percent. */
    slippageBps: z.number().int().min(0).max(10_000).default(0),
    /**
     * The same when the desk comes to lock: beyond it the counter-lock is held, and not made when it stays so. A quote is
     * honoured at any price when left out.
     */
    counterLockSlippageBps: z.number().int().min(0).max(10_000).optional(),
    /** Swaps with the desk that have not ended, at a time. */
    mostOpen: z.number().int().positive().default(100),
    /** The same for those of one taker, told by its address on the source chain. */
    mostOpenPerTaker: z.number().int().positive().default(10),
  })
  .superRefine(({ assets, pairs }, context) => {
    const fault = (path: (string | number)[], message: string) => context.addIssue({ code: "custom", path, message });
    const seen = new Set<string>();
    for (const [i, { source, target, least, most }] of pairs.entries()) {
      for (const side of ["source", "target"] as const) {
        if (!Object.hasOwn(assets, pairs[i]?.[side] ?? "")) fault(["pairs", i, side], "there is no asset of this name");
      }
      if (assets[source] && assets[source].chain === assets[target]?.chain)
        fault(["pairs", i, "target"], "the two assets of a pair are on different chains");
      if (least > most) fault(["pairs", i, "most"], "less than the least");
      if (seen.has(`${source} ${target}`)) fault(["pairs", i], "the pair is named twice");
      seen.add(`${source} ${target}`);
    }
    const places = Object.entries(assets).map(([key, { chain, asset: what }]) => ({
      key,
      place: `${chain} ${what.type === "native" ? "native" : what.address}`,
    }));
    for (const [i, { key, place }] of places.entries()) {
      if (places.findIndex((other) => other.place === place) < i)
        fault(["assets", key], "the asset is there under another name");
    }
  });

export type DeskConfig = z.output<typeof deskConfigSchema>;
