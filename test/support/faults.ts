import { numberToHex } from "viem";
import type { RpcAnswer, RpcRule } from "./rpcProxy.ts";

/** Ways in which an endpoint fails, as rules of a proxy. They can be combined: each hands on what it does not touch. */

/** Everything, or one method, comes late. */
export const delaying =
  (ms: number, method?: string): RpcRule =>
  (request, forward) =>
    method !== undefined && request.method !== method
      ? undefined
      : new Promise<void>((resolve) => setTimeout(resolve, ms)).then(() => forward());

/** Every `nth` request breaks its connection. */
export function dropping(nth: number): RpcRule {
  let count = 0;
  return () => (++count % nth === 0 ? Promise.resolve("die") : undefined);
}

/** Says that it is another chain. */
export const lyingAboutId =
  (chainId: number): RpcRule =>
  (request) =>
    request.method === "eth_chainId" ? Promise.resolve({ result: numberToHex(chainId) }) : undefined;

/** Answers 200 with something that is no answer. */
export const rubbish: RpcRule = () => Promise.resolve({ result: { hello: ["world"] } });

/** Shows only so many logs of any range: none with 0. */
export const truncatingLogs =
  (count: number): RpcRule =>
  (request, forward) =>
    request.method === "eth_getLogs" ? changed(forward(), (logs) => (logs as unknown[]).slice(0, count)) : undefined;

/** Shows the first log of a range with other data. */
export const forgingLogs: RpcRule = (request, forward) =>
  request.method === "eth_getLogs"
    ? changed(forward(), (logs) =>
        (logs as object[]).map((log, index) => (index === 0 ? { ...log, data: numberToHex(666, { size: 32 }) } : log)),
      )
    : undefined;

/** Answers a method with something that it makes of the true result. */
export const changing =
  (method: string, change: (result: unknown) => unknown): RpcRule =>
  (request, forward) =>
    request.method === method ? changed(forward(), change) : undefined;

async function changed(answer: Promise<RpcAnswer>, change: (result: unknown) => unknown): Promise<RpcAnswer> {
  const found = await answer;
  return "error" in found || found.result === null ? found : { result: change(found.result) };
}

/** Is so many blocks behind. */
export const behind = (blocks: number): RpcRule => capped((head) => head - blocks);

/** Has stood still at a height: everything it says was true once. */
export const stale = (height: bigint): RpcRule => capped((head) => Math.min(head, Number(height)));

function capped(capOf: (head: number) => number): RpcRule {
  return (request, forward) => {
    const { method, params } = request;
    if (!["eth_blockNumber", "eth_getBlockByNumber", "eth_getLogs", "eth_getTransactionReceipt"].includes(method)) {
      return undefined;
    }
    return (async () => {
      const head = await forward({ method: "eth_blockNumber", params: [] });
      if ("error" in head) return head;
      const cap = capOf(Number(head.result));
      if (method === "eth_blockNumber") return { result: numberToHex(cap) };
      if (method === "eth_getBlockByNumber") {
        const [at, full] = params;
        if (!String(at).startsWith("0x")) return forward({ params: [numberToHex(cap), full] });
        return Number(at) > cap ? { result: null } : forward();
      }
      const isKnown = (thing: unknown) => Number((thing as { blockNumber: string }).blockNumber) <= cap;
      if (method === "eth_getLogs") return changed(forward(), (logs) => (logs as unknown[]).filter(isKnown));
      return changed(forward(), (receipt) => (isKnown(receipt) ? receipt : null));
    })();
  };
}
