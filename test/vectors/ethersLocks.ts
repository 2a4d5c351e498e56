import { AbiCoder, id, keccak256, sha256, solidityPackedKeccak256, TypedDataEncoder, ZeroHash } from "ethers";

/** The formulas of locks written once more with ethers, so that viem and the contracts are not judged by themselves. */
export type LockVector = {
  chainId: number;
  contract: string;
  sender: string;
  recipient: string;
  token: string;
  amount: string;
  hashlock: string;
  timelock: string;
  tip: string;
};

export type ItemVector = LockVector & { tokenId: string };

export type BatchVector = Pick<LockVector, "chainId" | "contract" | "sender" | "token" | "tip"> & {
  entries: Pick<LockVector, "recipient" | "amount" | "hashlock" | "timelock">[];
};

type Once = { nonce: string; deadline: string };

const coder = AbiCoder.defaultAbiCoder();
const head = ["uint256 chainId", "address timelockContract"];
const terms = [
  "address sender",
  "address recipient",
  "address token",
  "uint256 amount",
  "bytes32 hashlock",
  "uint64 timelock",
  "uint96 tip",
];
const itemTerms = terms.toSpliced(3, 0, "uint256 tokenId");
const once = ["uint256 nonce", "uint256 deadline"];

/** keccak256 of the type hash and of a word for each field. */
function structHash(name: string, fields: string[], values: Record<string, unknown>): string {
  const types = fields.map((field) => field.split(" ")[0] ?? "");
  const words = fields.map((field) => values[field.split(" ")[1] ?? ""]);
  return keccak256(coder.encode(["bytes32", ...types], [id(`${name}(${fields})`), ...words]));
}

const located = (vector: LockVector) => ({ ...vector, timelockContract: vector.contract });

export const lockId = (vector: LockVector): string => structHash("Lock", [...head, ...terms], located(vector));

export const itemLockId = (vector: ItemVector): string =>
  structHash("ItemLock", [...head, ...itemTerms], located(vector));

export const leafIds = ({ entries, ...common }: BatchVector): string[] =>
  entries.map((entry, index) =>
    structHash("BatchLeaf", [...head, ...terms, "uint256 index"], { ...located({ ...common, ...entry }), index }),
  );

/** By halves, from the top down. */
export function merkleRoot(leaves: string[], width = 2 ** Math.ceil(Math.log2(leaves.length))): string {
  if (width === 1) return leaves[0] ?? ZeroHash;
  const halves = [leaves.slice(0, width / 2), leaves.slice(width / 2)].map((half) => merkleRoot(half, width / 2));
  return solidityPackedKeccak256(["bytes32", "bytes32"], halves.toSorted());
}

export const batchId = ({ chainId, contract }: { chainId: number; contract: string }, root: string): string =>
  structHash("Batch", [...head, "bytes32 root"], { chainId, timelockContract: contract, root });

const described = (fields: string[]) =>
  fields.map((field) => ({ type: field.split(" ")[0] ?? "", name: field.split(" ")[1] ?? "" }));

const picked = (fields: string[], values: Record<string, unknown>) =>
  Object.fromEntries(described(fields).map(({ name }) => [name, values[name]]));

const domainOf = ({ chainId, contract }: { chainId: number; contract: string }) => ({
  name: "Lockstep HashedTimelock",
  version: "1",
  chainId,
  verifyingContract: contract,
});

export const lockDigest = (vector: LockVector, { nonce, deadline }: Once): string =>
  TypedDataEncoder.hash(
    domainOf(vector),
    { SignedLock: described(["Terms terms", ...once]), Terms: described(terms) },
    { terms: picked(terms, vector), nonce, deadline },
  );

export const itemLockDigest = (vector: ItemVector, { nonce, deadline }: Once): string =>
  TypedDataEncoder.hash(
    domainOf(vector),
    { SignedItemLock: described(["ItemTerms terms", ...once]), ItemTerms: described(itemTerms) },
    { terms: picked(itemTerms, vector), nonce, deadline },
  );

export const earlyRefundDigest = (
  where: { chainId: number; contract: string },
  message: Once & { id: string; lockedAt: string },
): string =>
  TypedDataEncoder.hash(
    domainOf(where),
    { EarlyRefund: described(["bytes32 id", "uint256 lockedAt", ...once]) },
    message,
  );

export const permit2Digest = (vector: LockVector, { nonce, deadline }: Once): string =>
  TypedDataEncoder.hash(
    {
      name: "Permit2",
      chainId: vector.chainId,
      verifyingContract: "0x000000000022D473030F116dDEE9F6B43aC78BA3",
    },
    {
      PermitWitnessTransferFrom: described(["TokenPermissions permitted", "address spender", ...once, "Terms witness"]),
      TokenPermissions: described(["address token", "uint256 amount"]),
      Terms: described(terms),
    },
    {
      permitted: { token: vector.token, amount: vector.amount },
      spender: vector.contract,
      nonce,
      deadline,
      witness: picked(terms, vector),
    },
  );

export const hashlockOf = (secret: string): string => sha256(secret);
