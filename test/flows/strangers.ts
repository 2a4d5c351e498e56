import assert from "node:assert/strict";
import {
  createPublicClient,
  createWalletClient,
  encodeFunctionData,
  erc20Abi,
  http,
  parseAbi,
  zeroAddress,
  zeroHash,
} from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import { testTokenAbi } from "#core/abi/testToken.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { idOf } from "#swap/protocol/anyLock.ts";
import { encodeAnyClaim } from "#swap/protocol/closing.ts";
import type { ItemTerms, LockTerms } from "#swap/protocol/lockId.ts";
import { encodeLock, lockValue } from "#swap/protocol/timelock.ts";
import type { TestNetwork } from "#test/support/network.ts";
import { bridgeSide } from "./bridgeNetwork.ts";

/** Somebody with a key of his own who locks and claims past the service, on one chain. */
export type Stranger = {
  readonly address: Hex;
  readonly token: Hex;
  send(call: { to: Hex; data: Hex; value?: bigint }): Promise<void>;
  /** Locks native coin or a token; the lock's id. */
  lock(terms: Partial<LockTerms>): Promise<{ id: Hex; terms: LockTerms }>;
  /** Mints an ERC-721 and locks it; the lock's id, and who owns the token now. */
  lockNft(terms: Partial<ItemTerms>): Promise<{ id: Hex; owner(): Promise<Hex> }>;
  /** Locks native entries in one batch; the ids of its leaves. */
  lockBatch(entries: readonly Entry[]): Promise<Hex[]>;
  claim(terms: LockTerms, secret: Hex): Promise<void>;
  isOpen(id: Hex): Promise<boolean>;
  balanceOf(holder: Hex, asset?: "native" | "token"): Promise<bigint>;
};
type Entry = Pick<LockTerms, "recipient" | "amount" | "hashlock" | "timelock">;

const coin = 10n ** 18n;

/** `key`: one that exists already, such as a managed account's; its service must not be running. */
export async function strangerOn(test: TestNetwork, chain: string, key = generatePrivateKey()): Promise<Stranger> {
  const found = test.network.chains[chain];
  assert.ok(found);
  const { url, chainId, deployer, deployment } = found;
  const { timelock: contract, token } = deployment;
  const account = privateKeyToAccount(key);
  const { address } = account;
  const transport = http(url);
  const client = createPublicClient({ transport, pollingInterval: 10, cacheTime: 0 });
  const wallet = createWalletClient({ account, transport });
  await deployer.fund(address, 100n * coin);
  await deployer.send(token, encodeFunctionData({ abi: testTokenAbi, functionName: "mint", args: [address, coin] }));

  const send: Stranger["send"] = async (call) => {
    const hash = await wallet.sendTransaction({ chain: null, ...call });
    assert.equal((await client.waitForTransactionReceipt({ hash })).status, "success");
  };
  const approve = (to: Hex, id: bigint) =>
    send({
      to,
      data: encodeFunctionData({ abi: erc20Abi, functionName: "approve", args: [contract, id] }),
    });
  const defaults = { sender: address, recipient: address, token: zeroAddress, amount: 1_000n, tip: 0n };
  const unset = { hashlock: zeroHash, timelock: 0n };

  return {
    ...{ address, token, send },
    async lock(changes) {
      const terms: LockTerms = { ...defaults, ...unset, ...changes };
      if (terms.token !== zeroAddress) await approve(terms.token, terms.amount);
      await send({ to: contract, data: encodeLock(terms), value: lockValue(terms) });
      return { id: idOf({ chainId, contract }, { kind: "payment", terms }), terms };
    },
    async lockNft(changes) {
      const nft = await bridgeSide(test, chain).deploy("contracts/mocks/Items.sol/PlainNft");
      const abi = parseAbi(["function mint(address,uint256)", "function ownerOf(uint256) view returns (address)"]);
      const tokenId = 7n;
      await send({ to: nft, data: encodeFunctionData({ abi, functionName: "mint", args: [address, tokenId] }) });
      await approve(nft, tokenId);
      const terms: ItemTerms = { ...defaults, ...unset, ...changes, token: nft, tokenId, amount: 0n };
      const data = encodeFunctionData({ abi: hashedTimelockAbi, functionName: "lockItem", args: [terms] });
      await send({ to: contract, data, value: terms.tip });
      return {
        id: idOf({ chainId, contract }, { kind: "item", terms }),
        owner: () => client.readContract({ address: nft, abi, functionName: "ownerOf", args: [tokenId] }),
      };
    },
    async lockBatch(entries) {
      const args = [zeroAddress, 0n, entries] as const;
      const data = encodeFunctionData({ abi: hashedTimelockAbi, functionName: "lockBatch", args });
      await send({ to: contract, data, value: entries.reduce((sum, { amount }) => sum + amount, 0n) });
      return entries.map((entry, index) => {
        const terms = { ...defaults, ...entry };
        return idOf({ chainId, contract }, { kind: "leaf", terms, root: "0x", index });
      });
    },
    claim: (terms, secret) => send({ to: contract, data: encodeAnyClaim({ kind: "payment", terms }, secret) }),
    isOpen: (id) =>
      client.readContract({ address: contract, abi: hashedTimelockAbi, functionName: "isOpen", args: [id] }),
    balanceOf: (holder, asset = "native") =>
      asset === "native"
        ? client.getBalance({ address: holder })
        : client.readContract({ address: token, abi: erc20Abi, functionName: "balanceOf", args: [holder] }),
  };
}
