import type { DeployedChain } from "#app/network/settings.ts";
import { encodeSendMessage } from "#relay/protocol/calls.ts";
import { executedSelector } from "./facts.ts";
import type { Hex, Wallet } from "./wallet.ts";
import type { World } from "./world.ts";

export type Quantiles = { readonly p50: number; readonly p95: number };

/** Milliseconds from handing a raw transaction to the chain until its receipt is read: what nobody can be faster than. */
export async function measureFloor(wallet: Wallet, count: number): Promise<Quantiles> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const raw = await wallet.sign({ to: "0x00000000000000000000000000000000000000aa", gas: 21_000n });
    const start = performance.now();
    const hash = await wallet.send(raw);
    while ((await wallet.rpc("eth_getTransactionReceipt", [hash])) === null);
    times.push(performance.now() - start);
  }
  return quantiles(times);
}

/** Milliseconds from handing a message's transaction to the origin until the destination shows its execution. */
export async function measureLatency({ origin, destination, counter }: World, count: number): Promise<Quantiles> {
  const { chain } = destination;
  const watch = await watchLogs(chain, chain.deployment.gateway, executedSelector);
  const recipient = { chainId: destination.chain.chainId, address: counter };
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const data = encodeSendMessage(recipient, `0x${i.toString(16).padStart(64, "0")}`, 100_000n);
    const raw = await origin.sign({ to: origin.chain.deployment.gateway, data, gas: 500_000n });
    const executed = watch.next();
    const start = performance.now();
    await origin.send(raw);
    times.push((await executed) - start);
  }
  watch.close();
  return quantiles(times);
}

/** Tells of each event as the chain's node announces the block: nothing is polled while time is taken. */
export async function watchLogs(chain: DeployedChain, address: Hex, selector: Hex) {
  const socket = new WebSocket(chain.url.replace("http", "ws"));
  let onLog: (at: number) => void = () => undefined;
  const ready = Promise.withResolvers<void>();
  socket.addEventListener("open", () => {
    const filter = { address, topics: [selector] };
    socket.send(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_subscribe", params: ["logs", filter] }));
  });
  socket.addEventListener("error", () => ready.reject(new Error("the chain refused the subscription")));
  socket.addEventListener("message", ({ data }) => {
    const message = JSON.parse(String(data)) as { id?: number; method?: string };
    if (message.id === 1) ready.resolve();
    if (message.method === "eth_subscription") onLog(performance.now());
  });
  await ready.promise;
  return {
    next: () =>
      new Promise<number>((resolve) => {
        onLog = resolve;
      }),
    close: () => socket.close(),
  };
}

export function quantiles(times: readonly number[]): Quantiles {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => Math.round((sorted[Math.floor(sorted.length * share)] ?? 0) * 10) / 10;
  return { p50: at(0.5), p95: at(0.95) };
}
