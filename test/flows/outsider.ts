import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createPublicClient, createWalletClient, http, type TypedDataDefinition } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import type { Hex } from "#core/kernel/codec.ts";
import type { TestNetwork } from "#test/support/network.ts";
import type { SwapAnswer } from "./requests.ts";

type Ready = {
  what: string;
  chain: string;
  chainId: number;
  from?: Hex;
  to: Hex;
  data: Hex;
  value: string;
  secretOffset?: number;
};
type Signable = {
  kind: string;
  nonce: string;
  deadline: string;
  typedData: TypedDataDefinition;
  transactions?: Ready[];
};
export type ExternalSwap = SwapAnswer & {
  next?: { action: string; by: string; until: string; transactions: Ready[]; typedData: Signable[] };
};

/** Somebody with a wallet of their own, whose key the service never sees. */
export type Outsider = {
  readonly address: Hex;
  /** As a request names it. */
  readonly party: { source: Hex; target: Hex };
  readonly secret: Hex;
  readonly hashlock: Hex;
  /** Gives it coin on a chain; without, it cannot send anything there. */
  fund(chain: string, wei?: bigint): Promise<void>;
  balance(chain: string): Promise<bigint>;
  sendOne(ready: Ready): Promise<void>;
  /** Sends what the answer has ready, in order, each mined before the next. */
  send(swap: ExternalSwap, options?: { withSecret?: boolean }): Promise<void>;
  /** Signs what the answer shows of a kind. */
  sign(swap: ExternalSwap, kind: string): Promise<Hex>;
};

export function createOutsider({ network }: TestNetwork): Outsider {
  const account = privateKeyToAccount(generatePrivateKey());
  const secret: Hex = `0x${randomBytes(32).toString("hex")}`;
  const hashlock: Hex = `0x${createHash("sha256")
    .update(Buffer.from(secret.slice(2), "hex"))
    .digest("hex")}`;
  const clientOf = (chain: string) =>
    createPublicClient({ transport: http(network.chains[chain]!.url), pollingInterval: 10, cacheTime: 0 });

  async function sendOne(ready: Ready, withSecret: boolean): Promise<void> {
    const { url, chainId } = network.chains[ready.chain]!;
    assert.equal(ready.chainId, chainId);
    if (ready.from !== undefined) assert.equal(ready.from, account.address);
    const data = withSecret ? withSecretIn(ready, secret) : ready.data;
    const wallet = createWalletClient({ account, transport: http(url) });
    const hash = await wallet.sendTransaction({ chain: null, to: ready.to, data, value: BigInt(ready.value) });
    const receipt = await clientOf(ready.chain).waitForTransactionReceipt({ hash });
    assert.equal(receipt.status, "success", `${ready.what} on ${ready.chain}`);
  }

  return {
    address: account.address,
    party: { source: account.address, target: account.address },
    ...{ secret, hashlock },
    fund: (chain, wei = 10n ** 19n) => network.chains[chain]!.deployer.fund(account.address, wei),
    balance: (chain) => clientOf(chain).getBalance({ address: account.address }),
    sendOne: (ready) => sendOne(ready, false),
    async send({ next }, { withSecret = false } = {}) {
      assert.ok(next, "nobody is waited for");
      for (const ready of next.transactions) await sendOne(ready, withSecret);
    },
    async sign({ next }, kind) {
      const found = next?.typedData.find((each) => each.kind === kind);
      assert.ok(found, `no ${kind} to sign: ${JSON.stringify(next)}`);
      return account.signTypedData(found.typedData);
    },
  };
}

function withSecretIn({ data, secretOffset }: Ready, secret: Hex): Hex {
  assert.ok(secretOffset !== undefined, "there is no place for the secret");
  const from = 2 + 2 * secretOffset;
  assert.equal(data.slice(from, from + 64), "0".repeat(64));
  return `${data.slice(0, from)}${secret.slice(2)}${data.slice(from + 64)}` as Hex;
}
