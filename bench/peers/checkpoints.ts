import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  type Address,
  concat,
  createPublicClient,
  createWalletClient,
  type Hex,
  hashMessage,
  http,
  keccak256,
  numberToHex,
  pad,
  parseAbi,
  parseSignature,
  toHex,
} from "viem";
import { type PrivateKeyAccount, privateKeyToAccount } from "viem/accounts";

export type Checkpoints = { readonly url: string; stop(): Promise<void> };

const announceAbi = parseAbi([
  "function announce(address validator, string storageLocation, bytes signature) returns (bool)",
  "function getAnnouncementDigest(string storageLocation) view returns (bytes32)",
]);
const hookAbi = parseAbi(["event InsertedIntoTree(bytes32 messageId, uint32 index)"]);

/**
 * Imitates three of hyperlane's validators with one S3-compatible server: a folder a validator, a signed checkpoint for
 * every message as soon as it is asked for. The tree's root is not computed (a message-id quorum does not check it).
 */
export async function serveCheckpoints(options: {
  url: string;
  chainId: number;
  key: Hex;
  validators: readonly PrivateKeyAccount[];
  mailbox: Address;
  merkleTreeHook: Address;
  validatorAnnounce: Address;
}): Promise<Checkpoints> {
  const { chainId, validators, mailbox, merkleTreeHook } = options;
  const client = createPublicClient({ transport: http(options.url) });
  const inserted: Hex[] = [];
  let nextBlock = 0n;

  async function follow(): Promise<void> {
    const head = await client.getBlockNumber({ cacheTime: 0 });
    if (head < nextBlock) return;
    const events = await client.getContractEvents({
      address: merkleTreeHook,
      abi: hookAbi,
      eventName: "InsertedIntoTree",
      fromBlock: nextBlock,
      toBlock: head,
    });
    for (const { args } of events) inserted[Number(args.index)] = args.messageId as Hex;
    nextBlock = head + 1n;
  }

  async function checkpoint(validator: PrivateKeyAccount, index: number) {
    const messageId = inserted[index];
    if (messageId === undefined) return undefined;
    const domain = keccak256(concat([numberToHex(chainId, { size: 4 }), pad(merkleTreeHook), toHex("HYPERLANE")]));
    const root = keccak256(messageId);
    const digest = keccak256(concat([domain, root, numberToHex(index, { size: 4 }), messageId]));
    const signature = await validator.sign({ hash: hashMessage({ raw: digest }) });
    const { r, s, v } = parseSignature(signature);
    const value = {
      checkpoint: { merkle_tree_hook_address: pad(merkleTreeHook), mailbox_domain: chainId, root, index },
      message_id: messageId,
    };
    return { value, signature: { r, s, v: Number(v) }, serialized_signature: signature };
  }

  async function answer(path: string): Promise<unknown> {
    const [, who = "", file = ""] = /validator-(\d)\/([\w.]+)/.exec(path) ?? [];
    const validator = validators[Number(who)];
    if (!validator) return undefined;
    if (file === "announcement.json") {
      return { value: { validator: validator.address, mailbox_domain: chainId, mailbox_address: mailbox } };
    }
    await follow();
    if (file === "checkpoint_latest_index.json") return inserted.length - 1;
    const [, index] = /^checkpoint_(\d+)_with_id\.json$/.exec(file) ?? [];
    return index === undefined ? undefined : checkpoint(validator, Number(index));
  }

  const server = createServer(async (request, response) => {
    const found = await answer(request.url ?? "").catch(() => undefined);
    response.writeHead(found === undefined ? 404 : 200, { "content-type": "application/json" });
    response.end(found === undefined ? "" : JSON.stringify(found));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  await announce(options);
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** Tells the chain where each validator keeps its checkpoints. */
async function announce({
  url,
  key,
  validators,
  validatorAnnounce: address,
}: {
  url: string;
  key: Hex;
  validators: readonly PrivateKeyAccount[];
  validatorAnnounce: Address;
}) {
  const client = createPublicClient({ transport: http(url) });
  const wallet = createWalletClient({ account: privateKeyToAccount(key), transport: http(url) });
  for (const [index, validator] of validators.entries()) {
    const location = `s3://checkpoints/us-east-1/validator-${index}`;
    const hash = await client.readContract({
      address,
      abi: announceAbi,
      functionName: "getAnnouncementDigest",
      args: [location],
    });
    const args = [validator.address, location, await validator.sign({ hash })] as const;
    const sent = await wallet.writeContract({ chain: null, address, abi: announceAbi, functionName: "announce", args });
    await client.waitForTransactionReceipt({ hash: sent, pollingInterval: 20 });
  }
}
