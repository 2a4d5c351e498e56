import { createHash, randomBytes } from "node:crypto";
import { getAbiItem, toEventSelector, zeroAddress } from "viem";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import { encodeClaim, encodeLock, lockValue } from "#swap/protocol/timelock.ts";
import { type Quantiles, quantiles, watchLogs } from "../relay/latency.ts";
import { createWallet, type Hex, type Wallet } from "../relay/wallet.ts";
import type { World } from "../relay/world.ts";
import { managedSwap, openApi, type SwapAnswer } from "./swaps.ts";

const claimedSelector = toEventSelector(getAbiItem({ abi: hashedTimelockAbi, name: "Claimed" }));

/** Milliseconds of the four transactions of a swap, each with its receipt before the next: what nobody can be faster than. */
export async function measureFloor({ network }: World, count: number): Promise<Quantiles> {
  const [alpha, beta] = await Promise.all(
    [network.chains.alpha, network.chains.beta].map((chain) => createWallet(chain!, 3)),
  );
  if (!alpha || !beta) throw new Error("the network has other chains than expected");
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const secret: Hex = `0x${randomBytes(32).toString("hex")}`;
    const hashlock: Hex = `0x${createHash("sha256")
      .update(Buffer.from(secret.slice(2), "hex"))
      .digest("hex")}`;
    const timelock = BigInt(Math.floor(Date.now() / 1_000) + 3_600);
    const terms = { ...{ token: zeroAddress, amount: 10n ** 12n, hashlock, timelock, tip: 0n } };
    const calls = [
      [alpha, "lock"],
      [beta, "lock"],
      [beta, "claim"],
      [alpha, "claim"],
    ] as const;
    const signed: { wallet: Wallet; raw: Hex }[] = [];
    for (const [wallet, what] of calls) {
      const own = { ...terms, sender: wallet.address, recipient: `0x${"5e".repeat(20)}` as Hex };
      const data = what === "lock" ? encodeLock(own) : encodeClaim(own, secret);
      const value = what === "lock" ? lockValue(own) : 0n;
      signed.push({
        wallet,
        raw: await wallet.sign({ to: wallet.chain.deployment.timelock, data, value, gas: 300_000n }),
      });
    }
    const start = performance.now();
    for (const { wallet, raw } of signed) {
      const hash = await wallet.send(raw);
      while ((await wallet.rpc("eth_getTransactionReceipt", [hash])) === null);
    }
    times.push(performance.now() - start);
  }
  return quantiles(times);
}

/** Milliseconds from the request until the source chain shows the second claim, one swap at a time. */
export async function measureLatency(world: World, count: number): Promise<Quantiles> {
  const api = openApi(world);
  const { chain } = world.origin;
  const watch = await watchLogs(chain, chain.deployment.timelock, claimedSelector);
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const claimed = watch.next();
    const start = performance.now();
    const { id } = await api.post<SwapAnswer>("/v1/swaps", managedSwap);
    times.push((await claimed) - start);
    await api.until<SwapAnswer>(`/v1/swaps/${id}`, ({ status }) => status === "completed", 30_000);
  }
  watch.close();
  return quantiles(times);
}
