import { encodeFunctionData, type Hex, zeroAddress } from "viem";
import { testTokenAbi } from "#core/abi/testToken.ts";
import { encodeSendMessage } from "#relay/protocol/calls.ts";
import type { Appended } from "#relay/protocol/logs.ts";
import { hashlockOf } from "#swap/protocol/hashlock.ts";
import { encodeClaim, encodeLock, encodeRefund, type LockTerms, lockValue } from "#swap/protocol/timelock.ts";
import { accounts, openChain, type TestChain } from "./chains.ts";
import { appendedIn, connectGateway, deliveryOf, deployGateway } from "./lane.ts";

/** Gas of a transaction as its receipt has it, the intrinsic 21,000 and calldata included. */
export type GasRow = { readonly what: string; readonly gas: number };

const [sender, recipient] = [accounts[1]!.address, accounts[2]!.address];
const payload: Hex = `0x${"ab".repeat(32)}`;

/** Gas of every call that matters, measured on two fresh local chains with lanes and balances that are warm (not zero). */
export async function measureGas(): Promise<GasRow[]> {
  const [alpha, beta] = await Promise.all([openChain("alpha"), openChain("beta")]);
  try {
    return [...(await measureMessages(alpha, beta)), ...(await measureLocks(alpha))];
  } finally {
    await Promise.all([alpha.close(), beta.close()]);
  }
}

async function measureMessages(alpha: TestChain, beta: TestChain): Promise<GasRow[]> {
  const origin = { chainId: alpha.chainId, gateway: await deployGateway(alpha, accounts[0]!.address) };
  const destination = { chainId: beta.chainId, gateway: await deployGateway(beta, accounts[0]!.address) };
  await connectGateway(alpha, origin.gateway, destination);
  await connectGateway(beta, destination.gateway, origin);
  const sink = await beta.deploy("contracts/mocks/MessageCounter.sol/MessageCounter");
  const rows: GasRow[] = [];
  const send = async (gasLimit?: bigint): Promise<[Appended, bigint]> => {
    const data = encodeSendMessage({ chainId: beta.chainId, address: sink }, payload, gasLimit);
    const { logs, gasUsed } = await alpha.send(1, { to: origin.gateway, data });
    return [appendedIn(logs)[0]!, gasUsed];
  };
  const deliver = async (messages: Appended[]) => {
    const { data } = await deliveryOf(origin, destination, messages);
    return (await beta.send(3, { to: destination.gateway, data, gas: 16_000_000n })).gasUsed;
  };
  await deliver([(await send())[0]]);
  const [first, gas] = await send();
  rows.push({ what: "send 32 bytes", gas: Number(gas) });
  rows.push({ what: "deliver 1, 2 of 3 validators", gas: Number(await deliver([first])) });
  for (const count of [10, 50, 100]) {
    const messages: Appended[] = [];
    for (let n = 0; n < count; n++) messages.push((await send())[0]);
    const total = Number(await deliver(messages));
    rows.push({ what: `deliver ${count}, each`, gas: Math.round(total / count) });
  }
  rows.push({ what: "send 32 bytes with a gas limit", gas: Number((await send(150_000n))[1]) });
  return rows;
}

async function measureLocks(chain: TestChain): Promise<GasRow[]> {
  const timelock = await chain.deploy("contracts/HashedTimelock.sol/HashedTimelock");
  const token = await chain.deploy("contracts/mocks/HostileTokens.sol/PlainToken", ["Plain", "PLAIN"]);
  const call = (functionName: "mint" | "approve", args: readonly [Hex, bigint]) =>
    encodeFunctionData({ abi: testTokenAbi, functionName, args });
  for (const holder of [sender, recipient, timelock]) {
    await chain.send(1, { to: token, data: call("mint", [holder, 10n ** 20n]) });
  }
  await chain.send(1, { to: token, data: call("approve", [timelock, 10n ** 20n]) });

  const rows: GasRow[] = [];
  for (const [kind, asset] of [["native", zeroAddress] as const, ["ERC-20", token] as const]) {
    for (const end of ["claim", "refund"] as const) {
      const { timestamp } = await chain.reader.getBlock();
      const secret: Hex = `0x${kind === "native" ? "11" : "22"}${end === "claim" ? "33".repeat(31) : "44".repeat(31)}`;
      const terms: LockTerms = {
        sender,
        recipient,
        token: asset,
        amount: 10n ** 18n,
        hashlock: hashlockOf(secret),
        timelock: timestamp + 1_000n,
        tip: 0n,
      };
      const lock = await chain.send(1, { to: timelock, data: encodeLock(terms), value: lockValue(terms) });
      if (end === "refund") await chain.cheat.setNextBlockTimestamp({ timestamp: terms.timelock });
      const data = end === "claim" ? encodeClaim(terms, secret) : encodeRefund(terms);
      // Each is sent by who gets paid, as the parties of a swap do.
      const { gasUsed } = await chain.send(end === "claim" ? 2 : 1, { to: timelock, data });
      if (end === "claim") rows.push({ what: `lock ${kind}`, gas: Number(lock.gasUsed) });
      rows.push({ what: `${end} ${kind}`, gas: Number(gasUsed) });
    }
  }
  return rows;
}
