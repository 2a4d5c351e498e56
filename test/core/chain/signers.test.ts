import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { inspect } from "node:util";
import { Transaction, verifyTypedData } from "ethers";
import fc from "fast-check";
import {
  numberToHex,
  parseTransaction,
  serializeTransaction,
  type TransactionSerializableEIP1559,
  type TypedDataDefinition,
} from "viem";
import { privateKeyToAddress } from "viem/accounts";
import { createKeyStore, type KeyStore } from "#core/chain/keys.ts";
import { createRemoteSigner } from "#core/chain/remoteSigner.ts";
import { openKeystore } from "#core/config/keystore.ts";
import { type Clock, systemClock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { createPostJson } from "#core/kernel/postJson.ts";
import { redact } from "#core/kernel/redacted.ts";
import { testCertificates } from "../../support/certificates.ts";
import { localKey } from "../../support/localChain.ts";
import { createVirtualClock } from "../../support/virtualClock.ts";
import { encrypt } from "./keystoreSample.ts";
import { type SignerFault, type SignerServer, startSignerServer } from "./remoteSignerServer.ts";

const key = localKey(3);
const address = privateKeyToAddress(key);

const uint = (bits: number) => fc.bigInt({ min: 0n, max: (1n << BigInt(bits)) - 1n });
const bytes = fc.uint8Array({ maxLength: 300 }).map((each): Hex => `0x${Buffer.from(each).toString("hex")}`);
const addresses = uint(160).map((each) => numberToHex(each, { size: 20 }));
const transactions = fc.record({
  chainId: fc.integer({ min: 1, max: 2 ** 31 }),
  nonce: fc.nat(),
  to: addresses,
  data: bytes,
  value: uint(96),
  gas: uint(24),
  maxFeePerGas: uint(60),
  maxPriorityFeePerGas: fc.constant(0n),
});

const typedData = (amount: bigint, note: string) =>
  ({
    domain: { name: "Test", version: "1", chainId: 5n, verifyingContract: address },
    types: {
      Order: [
        { name: "amount", type: "uint256" },
        { name: "note", type: "string" },
      ],
    },
    primaryType: "Order",
    message: { amount, note },
  }) as const;

/** One suite for whatever signs. */
function conforms(name: string, open: () => Promise<KeyStore>): void {
  describe(`the accounts' keys: ${name}`, () => {
    let keys: KeyStore;
    before(async () => {
      keys = await open();
    });

    it("knows its accounts and no others", () => {
      assert.deepEqual(keys.names(), ["alice"]);
      assert.equal(keys.address("alice"), address);
      assert.throws(
        () => keys.address("bob"),
        (error) => isLockstepError(error, "account-unknown"),
      );
    });

    it("signs exactly the transaction that it is given", async () => {
      await fc.assert(
        fc.asyncProperty(transactions, async (transaction) => {
          const { raw, hash } = await keys.signTransaction("alice", transaction);
          const read = Transaction.from(raw);
          assert.equal(read.from, address);
          assert.equal(read.hash, hash);
          assert.equal(read.to?.toLowerCase(), transaction.to);
          const { chainId, nonce, data, value, gasLimit, maxFeePerGas } = read;
          assert.deepEqual(
            { chainId, nonce, data, value, gasLimit, maxFeePerGas },
            {
              ...{ chainId: BigInt(transaction.chainId), nonce: transaction.nonce, data: transaction.data },
              ...{ value: transaction.value, gasLimit: transaction.gas, maxFeePerGas: transaction.maxFeePerGas },
            },
          );
        }),
        { numRuns: 25 },
      );
    });

    it("signs typed data so that another library finds the account", async () => {
      await fc.assert(
        fc.asyncProperty(uint(256), fc.string(), async (amount, note) => {
          const data = typedData(amount, note);
          const signature = await keys.signTypedData("alice", data as TypedDataDefinition);
          const { Order } = data.types;
          assert.equal(verifyTypedData(data.domain, { Order: [...Order] }, data.message, signature), address);
        }),
        { numRuns: 15 },
      );
    });

    it("does not sign for an account that it does not have", async () => {
      const unknown = (error: unknown) => isLockstepError(error, "account-unknown");
      await assert.rejects(keys.signTransaction("bob", { chainId: 1, nonce: 0 }), unknown);
      await assert.rejects(keys.signTypedData("bob", typedData(1n, "") as TypedDataDefinition), unknown);
    });

    it("shows no key when printed", () => {
      assert.equal(inspect(keys, { depth: 9, showHidden: true }).includes(key.slice(2, 20)), false);
    });
  });
}

conforms("in this process", async () => createKeyStore({ alice: redact(key) }));

conforms("of an encrypted keystore", async () => {
  const opened = await openKeystore(redact(await encrypt(key, "right horse")), redact("right horse"), "accounts.alice");
  return createKeyStore({ alice: opened });
});

let server: SignerServer;
before(async () => {
  server = await startSignerServer([key]);
});
after(() => server.close());

conforms("of a remote signer", async () => {
  const post = createPostJson({ timeoutMs: 10_000, most: 100_000 });
  return createKeyStore({ alice: createRemoteSigner({ address, url: server.url, post, clock: systemClock }) });
});

describe("a remote signer that cannot be relied on", () => {
  const own = { chainId: 5, nonce: 7, to: address, gas: 21_000n, maxFeePerGas: 9n, maxPriorityFeePerGas: 1n } as const;
  const has = (code: "signer-unreachable" | "signer-refused" | "signer-wrong") => (error: unknown) =>
    isLockstepError(error, code) && !inspect(error, { depth: 9 }).includes("hush");

  const open = (options: { timeoutMs?: number; clock?: Clock; url?: string } = {}) =>
    createRemoteSigner({
      ...{ address, url: options.url ?? server.url, token: redact("hush") },
      post: createPostJson({ timeoutMs: options.timeoutMs ?? 10_000, most: 5_000 }),
      clock: options.clock ?? systemClock,
    });
  const faulty = async (fault: SignerFault, code: Parameters<typeof has>[0], timeoutMs?: number) => {
    server.use(fault);
    try {
      const signer = open(timeoutMs === undefined ? {} : { timeoutMs });
      await assert.rejects(signer.signTransaction(own), has(code));
      if (code !== "signer-unreachable") {
        await assert.rejects(signer.signTypedData(typedData(1n, "") as TypedDataDefinition), has(code));
      }
    } finally {
      server.use();
    }
  };

  it("is shown its token, and nothing else ever tells it", async () => {
    await open().signTransaction(own);
    assert.equal(server.requests.at(-1)?.authorization, "Bearer hush");
    server.use(async () => Promise.reject(new Error("unknown: Bearer hush")));
    await assert.rejects(open().signTransaction(own), has("signer-refused"));
    server.use();
  });

  it("counts as unreachable when it says nothing, hangs up, is not there, or says far too much", async () => {
    await faulty(() => "hang", "signer-unreachable", 50);
    await faulty(() => "die", "signer-unreachable");
    await faulty(async () => "0".repeat(10_000), "signer-unreachable");
    const gone = await startSignerServer([key]);
    await gone.close();
    await assert.rejects(open({ url: gone.url }).signTransaction(own), has("signer-unreachable"));
  });

  it("is left alone for a moment after it did not answer, and then asked again", async () => {
    const clock = createVirtualClock(1_800_000_000_000);
    const signer = open({ clock });
    server.use(() => "die");
    await assert.rejects(signer.signTransaction(own), has("signer-unreachable"));
    server.use();
    const before = server.requests.length;
    await assert.rejects(signer.signTransaction(own), has("signer-unreachable"));
    assert.equal(server.requests.length, before);
    clock.advance(1_001);
    await signer.signTransaction(own);
  });

  it("refuses whatever is not the transaction that was asked for, field by field", async () => {
    const changes: Readonly<Record<string, Hex>> = {
      ...{ nonce: "0x8", gas: "0x5209", value: "0x1", data: "0x01", chainId: "0x1", maxFeePerGas: "0xa" },
      ...{ maxPriorityFeePerGas: "0x2", to: "0x0000000000000000000000000000000000000001" },
    };
    for (const [field, value] of Object.entries(changes)) {
      server.use(async (request) => {
        const [fields] = request.params as [Record<string, Hex>];
        const { raw } = await changed({ ...fields, [field]: value });
        return raw;
      });
      await assert.rejects(open().signTransaction(own), has("signer-wrong"), field);
    }
    server.use();
  });

  it("refuses the signature of another account, the other of two signatures, and what is none", async () => {
    const [other] = [createKeyStore({ other: redact(localKey(4)) })];
    await faulty(async ({ method }) => {
      if (method === "eth_signTransaction") return (await other.signTransaction("other", own)).raw;
      return other.signTypedData("other", typedData(1n, "") as TypedDataDefinition);
    }, "signer-wrong");
    await faulty(async ({ method }, honest) => {
      const answer = String(await honest()) as Hex;
      return method === "eth_signTransaction" ? highS(answer) : highSignature(answer);
    }, "signer-wrong");
    for (const answer of ["0x", "0x02", `0x${"00".repeat(65)}`, "hello", 5, {}, { raw: "0x02c0" }]) {
      await faulty(async () => answer, "signer-wrong");
    }
  });

  it("refuses other bytes that carry the right signature", async () => {
    server.use(async (_, honest) => {
      const { r, s, yParity, v: _v, ...fields } = parseTransaction(String(await honest()) as Hex);
      const signature = { r: r as Hex, s: s as Hex, yParity: yParity ?? 0 };
      return serializeTransaction({ ...(fields as TransactionSerializableEIP1559), nonce: 8 }, signature);
    });
    await assert.rejects(open().signTransaction(own), has("signer-wrong"));
    server.use();
  });

  it("takes the bytes with the transaction beside them, as another program sends them", async () => {
    server.use(async (_, honest) => ({ raw: await honest(), tx: { nonce: "0x99" } }));
    const { raw } = await open().signTransaction(own);
    server.use();
    assert.equal(Transaction.from(raw).nonce, 7);
  });

  it("says whether it has the account", async () => {
    assert.equal(await open().hasAccount(), true);
    server.use(async () => []);
    assert.equal(await open().hasAccount(), false);
    server.use(() => "die");
    assert.equal(await open().hasAccount(), undefined);
    server.use();
  });

  async function changed(fields: Record<string, Hex>) {
    const keys = createKeyStore({ alice: redact(key) });
    return keys.signTransaction("alice", {
      ...{ chainId: Number(fields.chainId), nonce: Number(fields.nonce), to: fields.to ?? null },
      ...{ data: fields.data ?? "0x", value: BigInt(fields.value ?? 0), gas: BigInt(fields.gas ?? 0) },
      maxFeePerGas: BigInt(fields.maxFeePerGas ?? 0),
      maxPriorityFeePerGas: BigInt(fields.maxPriorityFeePerGas ?? 0),
    });
  }
});

describe("a remote signer behind certificates", () => {
  const { authority, serverCertificate, serverKey, clientCertificate, clientKey } = testCertificates;
  const own = { chainId: 5, nonce: 7, to: address, gas: 21_000n } as const;
  let secured: SignerServer;

  before(async () => {
    const mutual = { ca: authority, requestCert: true, rejectUnauthorized: true };
    secured = await startSignerServer([key], { cert: serverCertificate, key: serverKey, ...mutual });
  });
  after(() => secured.close());

  const sign = (tls?: { ca?: string; cert?: string; key?: string }) =>
    createRemoteSigner({
      ...{ address, url: secured.url, clock: systemClock },
      post: createPostJson({ timeoutMs: 10_000, most: 5_000, tls: tls && redact(tls) }),
    }).signTransaction(own);

  it("signs for who shows a certificate and trusts its own", async () => {
    await sign({ ca: authority, cert: clientCertificate, key: clientKey });
  });

  it("is not asked when it is not trusted, and does not sign for who shows nothing", async () => {
    const unreachable = (error: unknown) => isLockstepError(error, "signer-unreachable");
    const before = secured.requests.length;
    await assert.rejects(sign({ cert: clientCertificate, key: clientKey }), unreachable);
    await assert.rejects(sign({ ca: authority }), unreachable);
    await assert.rejects(sign(), unreachable);
    assert.equal(secured.requests.length, before);
  });
});

const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const turned = (s: Hex) => numberToHex(order - BigInt(s), { size: 32 });

/** The same transaction with the other of its two signatures, which anyone can make. */
function highS(raw: Hex): Hex {
  const { r, s, yParity, v: _, ...rest } = parseTransaction(raw);
  return serializeTransaction(rest as TransactionSerializableEIP1559, {
    ...{ r: r as Hex, s: turned(s as Hex) },
    yParity: yParity === 0 ? 1 : 0,
  });
}

function highSignature(signature: Hex): Hex {
  const s = turned(`0x${signature.slice(66, 130)}`);
  return `0x${signature.slice(2, 66)}${s.slice(2)}${signature.endsWith("1b") ? "1c" : "1b"}`;
}
