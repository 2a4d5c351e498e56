import type { Hex } from "viem";
import { encodeSendMessage } from "#relay/protocol/calls.ts";
import type { Appended } from "#relay/protocol/logs.ts";
import { accounts, openChain, type TestChain } from "./chains.ts";
import { type GasRow, measureLocks } from "./gasLocks.ts";
import { appendedIn, connectGateway, deliveryOf, deployGateway } from "./lane.ts";

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
  rows.push({ key: "send", what: "send 32 bytes", gas: Number(gas) });
  rows.push({ key: "deliver1", what: "deliver 1, 2 of 3 validators", gas: Number(await deliver([first])) });
  for (const count of [10, 50, 100]) {
    const messages: Appended[] = [];
    for (let n = 0; n < count; n++) messages.push((await send())[0]);
    const total = Number(await deliver(messages));
    rows.push({ key: `deliver${count}`, what: `deliver ${count}, each`, gas: Math.round(total / count) });
  }
  rows.push({
    key: "sendWithGasLimit",
    what: "send 32 bytes with a gas limit",
    gas: Number((await send(150_000n))[1]),
  });
  return rows;
}
