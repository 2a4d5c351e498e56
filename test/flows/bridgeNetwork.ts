import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
  type Abi,
  createPublicClient,
  createTestClient,
  createWalletClient,
  encodeFunctionData,
  getAddress,
  getContractAddress,
  http,
  parseAbi,
  type TransactionReceipt,
} from "viem";
import { privateKeyToAccount } from "viem/accounts";
import type { MessageAnswer } from "#app/demo/api.ts";
import { ensureKey } from "#app/network/keys.ts";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { encodeInteroperable } from "#relay/protocol/interoperable.ts";
import type { TestNetwork } from "#test/support/network.ts";
import { until } from "#test/support/until.ts";

export type Person = "deployer" | "carol" | "dave";
type Call = { readonly to: Hex; readonly data: Hex; readonly value?: bigint };

/** One chain of a running network, with people who send transactions there past the service. */
export type BridgeSide = {
  readonly name: string;
  readonly chainId: number;
  readonly gateway: Hex;
  send(from: Person, call: Call): Promise<TransactionReceipt>;
  /** One of `contracts/mocks/Bridges.sol`, or another artifact by its path. */
  deploy(artifact: string, args?: readonly unknown[]): Promise<Hex>;
  /** The address of the contract that is deployed after `later` others. */
  upcoming(later?: number): Promise<Hex>;
  /** Puts code at an address, as if it had been deployed there. */
  setCode(address: Hex, code: Hex): Promise<void>;
  read<T>(address: Hex, signature: string, args?: readonly unknown[]): Promise<T>;
};

export function bridgeSide({ network }: TestNetwork, name: string): BridgeSide {
  const { url, chainId, deployment } = network.chains[name]!;
  const transport = http(url);
  const client = createPublicClient({ transport, pollingInterval: 10, cacheTime: 0 });
  const keyOf = (person: Person) =>
    person === "deployer" ? ensureKey(network.layout.keys, person) : network.accounts[person]!;
  const wallets = Object.fromEntries(
    (["deployer", "carol", "dave"] as const).map((person) => {
      const account = privateKeyToAccount(keyOf(person).key.reveal());
      return [person, createWalletClient({ account, transport })];
    }),
  );
  const mined = async (hash: Hex): Promise<TransactionReceipt> => {
    const receipt = await client.waitForTransactionReceipt({ hash });
    assert.equal(receipt.status, "success");
    return receipt;
  };
  return {
    ...{ name, chainId, gateway: deployment.gateway },
    send: async (from, call) => mined(await wallets[from]!.sendTransaction({ chain: null, ...call })),
    async deploy(artifact, args = []) {
      const { abi, bytecode } = artifactOf(
        artifact.includes("/") ? artifact : `contracts/mocks/Bridges.sol/${artifact}`,
      );
      const { contractAddress } = await mined(
        await wallets.deployer!.deployContract({ chain: null, abi, bytecode, args }),
      );
      return getAddress(contractAddress ?? assert.fail("nothing was deployed"));
    },
    async upcoming(later = 0) {
      const from = keyOf("deployer").address;
      const nonce = await client.getTransactionCount({ address: from });
      return getContractAddress({ from, nonce: BigInt(nonce + later) });
    },
    setCode: (address, bytecode) => createTestClient({ mode: "hardhat", transport }).setCode({ address, bytecode }),
    read: async <T>(address: Hex, signature: string, args: readonly unknown[] = []) => {
      const abi = parseAbi([signature] as readonly string[]) as Abi;
      const functionName = /function (\w+)/.exec(signature)?.[1] ?? "";
      return (await client.readContract({ address, abi, functionName, args })) as T;
    },
  };
}

/** Puts a price on the lane to another chain: from now on a message there needs value or credit. */
export async function priceLane({ send, gateway }: BridgeSide, to: BridgeSide): Promise<void> {
  const price = { gasPrice: 10n ** 9n, exchangeRate: 10n ** 18n, overhead: 30_000, validUntil: 2 ** 40 - 1 };
  const args = [BigInt(to.chainId), price] as const;
  await send("deployer", {
    to: gateway,
    data: encodeFunctionData({ abi: gatewayAbi, functionName: "setPrice", args }),
  });
}

/** Pays for an account's messages in advance. */
export async function giveCredit({ send, gateway }: BridgeSide, account: Hex): Promise<void> {
  const data = encodeFunctionData({ abi: gatewayAbi, functionName: "depositFor", args: [account] });
  await send("deployer", { to: gateway, data, value: 10n ** 18n });
}

export const creditOf = ({ read, gateway }: BridgeSide, account: Hex): Promise<bigint> =>
  read(gateway, "function creditOf(address) view returns (uint256)", [account]);

export const accountOn = ({ chainId }: BridgeSide, address: Hex): Hex =>
  encodeInteroperable({ chainId, address }).toLowerCase() as Hex;

/** A bridge on each side that knows the other one; `home` is where tokens are locked. Both have credit. */
export async function deployBridges(
  [home, custodyName, homeToken]: readonly [BridgeSide, string, Hex],
  [away, wrapperName, awayToken]: readonly [BridgeSide, string, Hex?],
): Promise<{ custody: Hex; wrapper: Hex }> {
  const expected = await away.upcoming();
  const link = (here: BridgeSide, there: BridgeSide, counterpart: Hex) => [
    { gateway: here.gateway, counterpart: accountOn(there, counterpart) },
  ];
  const custody = await home.deploy(custodyName, [link(home, away, expected), homeToken]);
  const rest = awayToken === undefined ? [] : [awayToken];
  const wrapper = await away.deploy(wrapperName, [link(away, home, custody), ...rest]);
  assert.equal(wrapper, expected);
  await giveCredit(home, custody);
  await giveCredit(away, wrapper);
  return { custody, wrapper };
}

export type Tracked = MessageAnswer & { readonly lane: string };

/** The service's view of the message that a transaction sent, once the service has seen it. */
export function messageOf({ api }: TestNetwork, { transactionHash }: TransactionReceipt): Promise<Tracked> {
  return until(async () => {
    const { messages } = await api.get<{ messages: Tracked[] }>("/v1/messages?limit=100");
    return messages.find(({ timeline }) =>
      timeline.some((entry) => entry.what === "MessageSent" && entry.transactionHash === transactionHash),
    );
  }, "the service sees the message");
}

function artifactOf(path: string): { abi: Abi; bytecode: Hex } {
  return JSON.parse(readFileSync(new URL(`../../artifacts/${path}.json`, import.meta.url), "utf8"));
}
