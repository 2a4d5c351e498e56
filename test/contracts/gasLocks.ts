import {
  type ContractFunctionArgs,
  type ContractFunctionName,
  encodeFunctionData,
  type Hex,
  parseAbi,
  parseSignature,
  zeroAddress,
} from "viem";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import { testTokenAbi } from "#core/abi/testToken.ts";
import { hashlockOf } from "#swap/protocol/hashlock.ts";
import type { ItemTerms, LockTerms } from "#swap/protocol/lockId.ts";
import { encodeClaim, encodeLock, encodeRefund, lockValue } from "#swap/protocol/timelock.ts";
import { accounts, type TestChain } from "./chains.ts";

/** Gas of a transaction as its receipt has it, the intrinsic 21,000 and calldata included; `key` is for programs. */
export type GasRow = { readonly key: string; readonly what: string; readonly gas: number };

type Name = ContractFunctionName<typeof hashedTimelockAbi, "payable" | "nonpayable">;

/** A chain with a timelock and tokens on it, and terms that differ with every call. */
type Bench = Awaited<ReturnType<typeof openBench>>;

const [sender, recipient] = [accounts[1]!.address, accounts[2]!.address];
const plenty = 10n ** 24n;
const amount = 10n ** 18n;

/** Gas of every kind of lock, claim and refund without a tip, each sent by who gets paid, as the parties of a swap do. */
export async function measureLocks(chain: TestChain): Promise<GasRow[]> {
  const bench = await openBench(chain);
  return [
    ...(await measureSingle(bench, "Native", "native", zeroAddress)),
    ...(await measureSingle(bench, "Erc20", "ERC-20, unlimited allowance", bench.token)),
    await measureFiniteAllowance(bench),
    ...(await measureBatches(bench)),
    await measurePermit(bench),
    ...(await measureItem(bench, "Erc721", 0n)),
    ...(await measureItem(bench, "Erc1155", 5n)),
  ];
}

async function openBench(chain: TestChain) {
  const timelock = await chain.deploy("contracts/HashedTimelock.sol/HashedTimelock");
  const deployMock = (name: string, args: readonly unknown[] = []) => chain.deploy(`contracts/mocks/${name}`, args);
  const token = await deployMock("HostileTokens.sol/PlainToken", ["Plain", "PLAIN"]);
  for (const holder of [sender, recipient, timelock]) {
    const data = encodeFunctionData({ abi: testTokenAbi, functionName: "mint", args: [holder, plenty] });
    await chain.send(1, { to: token, data });
  }
  let count = 0;
  const approve = (of: Hex, allowance: bigint) =>
    chain.send(1, {
      to: of,
      data: encodeFunctionData({ abi: testTokenAbi, functionName: "approve", args: [timelock, allowance] }),
    });
  await approve(token, 2n ** 256n - 1n);
  /** Terms with a secret of their own. */
  const fresh = async (asset: Hex): Promise<{ terms: LockTerms; secret: Hex }> => {
    count += 1;
    const secret: Hex = `0x${"a7".repeat(30)}${count.toString(16).padStart(4, "0")}`;
    const { timestamp } = await chain.reader.getBlock();
    const parties = { sender, recipient, token: asset, amount, tip: 0n };
    return { terms: { ...parties, hashlock: hashlockOf(secret), timelock: timestamp + 1_000n }, secret };
  };
  const call = async <N extends Name>(
    from: number,
    functionName: N,
    args: ContractFunctionArgs<typeof hashedTimelockAbi, "payable" | "nonpayable", N>,
    value = 0n,
  ) => {
    const data = encodeFunctionData({ abi: hashedTimelockAbi, functionName, args } as never);
    return Number((await chain.send(from, { to: timelock, data, value })).gasUsed);
  };
  const lock = (terms: LockTerms) => chain.send(1, { to: timelock, data: encodeLock(terms), value: lockValue(terms) });
  const pass = (time: bigint) => chain.cheat.setNextBlockTimestamp({ timestamp: time });
  return { chain, timelock, token, deployMock, approve, fresh, call, lock, pass };
}

async function measureSingle({ chain, timelock, fresh, lock, pass }: Bench, name: string, what: string, asset: Hex) {
  const first = await fresh(asset);
  const locked = await lock(first.terms);
  const claimed = await chain.send(2, { to: timelock, data: encodeClaim(first.terms, first.secret) });
  const second = await fresh(asset);
  await lock(second.terms);
  await pass(second.terms.timelock);
  const refunded = await chain.send(1, { to: timelock, data: encodeRefund(second.terms) });
  return [
    { key: `lock${name}`, what: `lock ${what}`, gas: Number(locked.gasUsed) },
    { key: `claim${name}`, what: `claim ${what}`, gas: Number(claimed.gasUsed) },
    { key: `refund${name}`, what: `refund ${what}`, gas: Number(refunded.gasUsed) },
  ];
}

async function measureFiniteAllowance({ token, approve, fresh, lock }: Bench): Promise<GasRow> {
  await approve(token, 2n * amount);
  const { gasUsed } = await lock((await fresh(token)).terms);
  return { key: "lockErc20Finite", what: "lock ERC-20, finite allowance", gas: Number(gasUsed) };
}

async function measureBatches({ chain, fresh, call, lock }: Bench): Promise<GasRow[]> {
  const entries: LockTerms[] = [];
  for (let n = 0; n < 16; n++) entries.push((await fresh(zeroAddress)).terms);
  const locked = await call(1, "lockBatch", [zeroAddress, 0n, entries], 16n * amount);

  const claimed: number[] = [];
  for (const distinct of [false, true]) {
    const claims: { terms: LockTerms; secret: Hex }[] = [];
    for (let n = 1; n <= 20; n++) {
      const { terms: own, secret } = await fresh(zeroAddress);
      const to: Hex = distinct ? `0x${"5e".repeat(19)}${n.toString(16).padStart(2, "0")}` : recipient;
      // Receivers exist already: what an account costs that is new on its chain is no matter of this contract.
      if (distinct) await chain.cheat.setBalance({ address: to, value: 1n });
      claims.push({ terms: { ...own, recipient: to }, secret });
      await lock(claims.at(-1)!.terms);
    }
    claimed.push(await call(3, "claimBatch", [claims]));
  }
  const [same = 0, different = 0] = claimed;
  return [
    { key: "batchLock16", what: "batch lock of 16, each", gas: Math.round(locked / 16) },
    { key: "batchClaim20Same", what: "batch claim of 20, one recipient, each", gas: Math.round(same / 20) },
    { key: "batchClaim20Distinct", what: "batch claim of 20, 20 recipients, each", gas: Math.round(different / 20) },
  ];
}

/** The second permit of a sender, as every later one: the first pays for a new nonce. */
async function measurePermit({ chain, timelock, deployMock, fresh, call }: Bench): Promise<GasRow> {
  const token = await deployMock("PermitToken.sol/PermitToken");
  for (const holder of [sender, timelock]) {
    const data = encodeFunctionData({ abi: testTokenAbi, functionName: "mint", args: [holder, plenty] });
    await chain.send(1, { to: token, data });
  }
  let gas = 0;
  for (const nonce of [0n, 1n]) {
    const { terms } = await fresh(token);
    const names = ["owner", "spender", "value", "nonce", "deadline"];
    const { r, s, v } = parseSignature(
      await accounts[1]!.signTypedData({
        domain: { name: "Permit", version: "1", chainId: chain.chainId, verifyingContract: token },
        types: { Permit: names.map((name, i) => ({ name, type: i < 2 ? "address" : "uint256" })) },
        primaryType: "Permit",
        message: { owner: sender, spender: timelock, value: terms.amount, nonce, deadline: terms.timelock },
      }),
    );
    gas = await call(1, "lockWithPermit", [terms, terms.timelock, Number(v), r, s]);
  }
  return { key: "permitLock", what: "permit and lock, one transaction", gas };
}

async function measureItem(bench: Bench, name: "Erc721" | "Erc1155", quantity: bigint): Promise<GasRow[]> {
  const { chain, timelock, deployMock, fresh, call, pass } = bench;
  const nft = name === "Erc721";
  const token = await deployMock(nft ? "Items.sol/PlainNft" : "Items.sol/PlainMultiToken");
  const mint = (to: Hex, tokenId: bigint) =>
    chain.send(1, { to: token, data: nft ? mintItem(to, tokenId) : mintItems(to, tokenId) });
  // All hold some already and keep some, but for the timelock's ERC-1155, which nobody can send it beforehand.
  if (nft) await mint(timelock, 90n);
  for (const tokenId of [1n, 2n, 3n]) await mint(sender, tokenId);
  await mint(recipient, nft ? 91n : 1n);
  // An ERC-721 is approved one by one, as wallets do; an ERC-1155 can only be approved as a whole.
  const approve = (tokenId: bigint) =>
    chain.send(1, { to: token, data: nft ? approveNft(timelock, tokenId) : approveAll(timelock) });
  const prepare = async (tokenId: bigint) => {
    const { terms, secret } = await fresh(token);
    await approve(tokenId);
    const item: ItemTerms = { ...terms, tokenId, amount: quantity };
    return { item, secret, gas: await call(1, "lockItem", [item]) };
  };
  const first = await prepare(1n);
  const claimed = await call(2, "claimItem", [first.item, first.secret]);
  const second = await prepare(2n);
  await pass(second.item.timelock);
  const refunded = await call(1, "refundItem", [second.item]);
  const standard = name === "Erc721" ? "ERC-721" : "ERC-1155";
  return [
    { key: `lock${name}`, what: `lock ${standard}`, gas: first.gas },
    { key: `claim${name}`, what: `claim ${standard}`, gas: claimed },
    { key: `refund${name}`, what: `refund ${standard}`, gas: refunded },
  ];
}

const approveNft = (operator: Hex, tokenId: bigint) =>
  encodeFunctionData({ abi: parseAbi(["function approve(address,uint256)"]), args: [operator, tokenId] });

const approveAll = (operator: Hex) =>
  encodeFunctionData({ abi: parseAbi(["function setApprovalForAll(address,bool)"]), args: [operator, true] });

const mintItem = (to: Hex, tokenId: bigint) =>
  encodeFunctionData({ abi: parseAbi(["function mint(address,uint256)"]), args: [to, tokenId] });

const mintItems = (to: Hex, tokenId: bigint) =>
  encodeFunctionData({ abi: parseAbi(["function mint(address,uint256,uint256)"]), args: [to, tokenId, 1_000n] });
