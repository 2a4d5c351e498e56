import { createHash, randomBytes } from "node:crypto";
import { encodeFunctionData, zeroAddress } from "viem";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import type { AnyLock } from "#swap/protocol/anyLock.ts";
import { encodeAnyClaim } from "#swap/protocol/closing.ts";
import { leafId } from "#swap/protocol/lockId.ts";
import { merkleRoot } from "#swap/protocol/merkle.ts";
import type { Hex, Wallet } from "../relay/wallet.ts";

const count = 16;
const amount = 10n ** 12n;

/** Gas of sixteen counter-locks in one transaction and of the claim of each, per swap; receivers exist already. */
export async function measureBatchGas(wallet: Wallet): Promise<number> {
  const { chainId, deployment } = wallet.chain;
  const to = deployment.timelock;
  const timelock = BigInt(Math.floor(Date.now() / 1_000) + 3_600);
  const secrets = Array.from({ length: count }, (): Hex => `0x${randomBytes(32).toString("hex")}`);
  const common = { sender: wallet.address, token: zeroAddress, amount, timelock, tip: 0n };
  const locks = secrets.map((secret) => {
    const hashlock: Hex = `0x${createHash("sha256")
      .update(Buffer.from(secret.slice(2), "hex"))
      .digest("hex")}`;
    return { ...common, recipient: wallet.address, hashlock };
  });
  const leaves = locks.map((terms, index) => leafId(chainId, to, terms, index));
  const data = encodeFunctionData({
    abi: hashedTimelockAbi,
    functionName: "lockBatch",
    args: [zeroAddress, 0n, locks],
  });
  let gas = await gasOf(wallet, { to, data, value: amount * BigInt(count) });
  for (const [index, terms] of locks.entries()) {
    const lock: AnyLock = { kind: "leaf", terms, root: merkleRoot(leaves), index };
    gas += await gasOf(wallet, { to, data: encodeAnyClaim(lock, secrets[index] ?? "0x", leaves) });
  }
  return Math.round(gas / count);
}

async function gasOf(wallet: Wallet, call: { to: Hex; data: Hex; value?: bigint }): Promise<number> {
  const hash = await wallet.send(await wallet.sign({ gas: 2_000_000n, ...call }));
  const receipt = await wallet.rpc<{ gasUsed: Hex; status: Hex }>("eth_getTransactionReceipt", [hash]);
  if (receipt.status !== "0x1") throw new Error("a transaction of the benchmark reverted");
  return Number(receipt.gasUsed);
}
