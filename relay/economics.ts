import type { Db } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import { type MessageEvent, messageStream } from "./events.ts";
import { createGatewayReader } from "./gateway.ts";
import type { LaneEnds } from "./lane.ts";
import type { OpenMessage } from "./openMessage.ts";
import type { Policy } from "./policy.ts";
import type { ReasonCode } from "./reasons.ts";

/** Whether a delivery is worth its gas now; what it waits for, otherwise. */
export type Economics = (
  lane: LaneEnds,
  batch: readonly OpenMessage[],
) => Promise<{ readonly code: ReasonCode; readonly detail: string } | undefined>;

/** Gas of a delivery as measured, without what recipients take (docs/contracts.md): once, and for each message. */
const onceGas = 68_000n;
const eachGas = 9_200n;
/** EIP-7623: as the origin's quote counts it. */
const byteGas = 40n;
const rateUnit = 10n ** 18n;

/** Gas that messages are expected to take when recipients use up their limits, which is what they pay for. */
export const expectedGas = (
  messages: readonly { readonly gasLimit: bigint; readonly payloadBytes: number }[],
): bigint =>
  messages.reduce(
    (sum, { gasLimit, payloadBytes }) => sum + gasLimit + eachGas + byteGas * BigInt(payloadBytes),
    onceGas,
  );

export type Offer = {
  /** Wei of the origin's coin. */
  readonly paid: bigint;
  /** Wei of the origin's coin for 10^18 wei of the destination's. */
  readonly exchangeRate: bigint;
  readonly gas: bigint;
  /** Wei of the destination's coin. */
  readonly gasPrice: bigint;
  readonly minProfitPercent: number;
};

/** Whether what was paid is worth at least the cost and the wanted profit, both in the destination's coin. */
export function isProfitable({ paid, exchangeRate, gas, gasPrice, minProfitPercent }: Offer): boolean {
  return paid * rateUnit * 100n >= gas * gasPrice * exchangeRate * BigInt(100 + minProfitPercent);
}

export function createEconomics({ db, store, policy }: { db: Db; store: EventStore; policy: Policy }): Economics {
  /** What was paid for messages that had a price when they were sent; others ride along for nothing. */
  async function fees(batch: readonly OpenMessage[]): Promise<Map<string, bigint>> {
    const streams = await store.loadMany<MessageEvent>(
      db,
      batch.map(({ id }) => messageStream(id)),
    );
    return new Map(
      batch.flatMap(({ id }) => {
        const sent = streams.get(messageStream(id))?.findLast(({ type }) => type === "MessageSent");
        return sent?.type === "MessageSent" && sent.data.fee !== undefined ? [[id, sent.data.fee] as const] : [];
      }),
    );
  }

  return async (lane, batch) => {
    const limit = policy.gasPriceLimit(lane.destination);
    const { minProfitPercent } = policy;
    if (limit === undefined && minProfitPercent === undefined) return undefined;
    const { maxFeePerGas, maxPriorityFeePerGas } = await lane.to.chain.fees();
    // The estimate has room for the base fee to double; what is paid is about half of that room.
    const gasPrice = (maxFeePerGas + maxPriorityFeePerGas) / 2n;
    if (limit !== undefined && gasPrice > limit) {
      const detail = `gas at ${lane.destination} costs ${gasPrice} wei, the limit is ${limit}`;
      return { code: "gas-price-too-high", detail };
    }
    if (minProfitPercent === undefined) return undefined;
    const { exchangeRate, gasPrice: quoted } = await createGatewayReader(lane.from).priceOf(lane.to.chain.chainId);
    if (quoted === 0n) return undefined;
    const paidFor = await fees(batch);
    const paying = batch.filter(({ id }) => paidFor.has(id));
    if (paying.length === 0) return undefined;
    const paid = [...paidFor.values()].reduce((sum, fee) => sum + fee, 0n);
    const offer = { paid, exchangeRate, gas: expectedGas(paying), gasPrice, minProfitPercent };
    if (isProfitable(offer)) return undefined;
    const worth = (paid * rateUnit) / exchangeRate;
    const detail = `${paying.length} messages paid ${worth} wei of ${lane.destination}'s coin, their delivery costs about ${offer.gas * gasPrice}`;
    return { code: "unprofitable", detail };
  };
}
