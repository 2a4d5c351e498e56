import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { encodeFunctionData, type Hex, parseSignature, signatureToCompactSignature } from "viem";
import { privateKeyToAccount, privateKeyToAddress, sign } from "viem/accounts";
import { createDeployer } from "#app/network/deployer.ts";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createGatewayReader } from "#relay/gateway.ts";
import { checkpointTypedData } from "#relay/protocol/checkpoint.ts";
import { byAccount, type QuorumSet, type Threshold, toContractSet, validatorSetHash } from "#relay/protocol/quorum.ts";
import { rotationDigest } from "#relay/protocol/rotation.ts";
import type { ValidatorView } from "#relay/schemas.ts";
import { openBackend } from "../support/databases.ts";
import { localKey } from "../support/localChain.ts";
import { until } from "../support/until.ts";
import {
  type Harness,
  openHarness,
  openSites,
  type Sites,
  sendDirectly,
  type ValidatorName,
  validatorKeys,
  validatorNames,
  type WireMessage,
} from "./harness.ts";
import { hashOf } from "./samples.ts";

const addressOf = (name: ValidatorName) => privateKeyToAddress(validatorKeys[name]);

function setOf(weights: Partial<Record<ValidatorName, bigint>>, threshold: Threshold): QuorumSet {
  const members = validatorNames.filter((name) => weights[name] !== undefined);
  return { validators: members.map((name) => ({ account: addressOf(name), weight: weights[name] ?? 0n })), threshold };
}
const equal = { one: 1n, two: 1n, three: 1n };
const majority: Threshold = { rule: "simpleMajority" };

// Which database it is makes no difference to validators, and each of these takes its time.
const backend = await openBackend();

describe("validators that change", () => {
  let sites: Sites;
  let h: Harness;
  let current: QuorumSet = setOf(equal, majority);
  before(async () => {
    sites = await openSites();
    h = await openHarness(backend, sites);
    for (const name of validatorNames) await h.startValidator(name);
  });
  after(async () => {
    await h?.close();
    await Promise.all([sites?.alpha.local.close(), sites?.beta.local.close()]);
  });

  const govern = (data: Hex) =>
    createDeployer({ url: sites.beta.url, key: redact(localKey(0)) }).send(h.gateways.beta, data);
  const reader = () => createGatewayReader({ chain: h.chains.beta, gateway: h.gateways.beta });
  const newest = () => reader().newestEpoch(origin());
  const origin = () => sites.alpha.local.chainId;
  const revoke = (epoch: bigint) =>
    govern(encodeFunctionData({ abi: gatewayAbi, functionName: "revokeEpoch", args: [BigInt(origin()), epoch] }));

  /** Ends all epochs that overlap the newest: a quorum of theirs would do as well. */
  async function revokeOlder(): Promise<void> {
    const now = BigInt((await h.chains.beta.block("latest"))?.timestamp ?? 0n);
    for (let epoch = (await newest()) - 1n; epoch > 0n; epoch--) {
      if ((await reader().epochInfo(origin(), epoch)).validUntil > now) await revoke(epoch);
    }
  }

  /** Governance starts the next epoch; the one before ends at once unless it overlaps. */
  async function setValidators(next: QuorumSet, overlap = 0n): Promise<bigint> {
    const epoch = await newest();
    const args = [BigInt(origin()), epoch, toContractSet(next), overlap] as const;
    await govern(encodeFunctionData({ abi: gatewayAbi, functionName: "setValidators", args }));
    current = next;
    return epoch + 1n;
  }

  /** All three hand over to the next set themselves; anyone submits it. */
  async function rotateValidators(next: QuorumSet): Promise<bigint> {
    const epoch = await newest();
    const newSetHash = validatorSetHash(origin(), epoch + 1n, next);
    const destination = { chainId: sites.beta.local.chainId, gateway: h.gateways.beta };
    const hash = rotationDigest(destination, { originChainId: origin(), oldEpoch: epoch, newSetHash });
    const signers = validatorNames.toSorted((a, b) => byAccount(addressOf(a), addressOf(b)));
    const signatures = await Promise.all(
      signers.map(async (name) => {
        const signature = await sign({ hash, privateKey: validatorKeys[name], to: "hex" });
        const { r, yParityAndS } = signatureToCompactSignature(parseSignature(signature));
        return { r, vs: yParityAndS };
      }),
    );
    const args = [BigInt(origin()), epoch, toContractSet(current), signatures, toContractSet(next)] as const;
    await govern(encodeFunctionData({ abi: gatewayAbi, functionName: "rotateValidators", args }));
    current = next;
    return epoch + 1n;
  }

  const indexed = (epoch: bigint) =>
    until(
      async () => (await h.db.query("SELECT 1 FROM relay_set_facts WHERE chain = 'beta' AND epoch = $1", [epoch]))[0],
      `epoch ${epoch} is indexed`,
    );

  async function send(payload: Hex = "0x01"): Promise<string> {
    const { transactionHash } = await sendDirectly(sites.alpha, sites.beta, sites.beta.contracts.recorder, payload);
    const list = async () =>
      (await h.api<{ messages: WireMessage[] }>("GET", "/v1/messages?origin=alpha&limit=100")).body.messages;
    const isIt = ({ timeline }: WireMessage) => timeline.some((entry) => entry.transactionHash === transactionHash);
    return (await until(async () => (await list()).find(isIt), "the message is known")).id;
  }
  const delivered = (id: string) => h.reaches(id, "delivered");
  const epochOf = ({ timeline }: WireMessage) =>
    timeline.find(({ what }) => what === "MessageAttested")?.detail?.match(/epoch (\d+)/)?.[1];
  /** The epoch before may be used until the validators have heard of the new one, where it overlaps. */
  const deliveredUnder = (epoch: bigint) =>
    until(
      async () => epochOf(await delivered(await send())) === epoch.toString(),
      `a message is delivered under epoch ${epoch}`,
      20_000,
    );
  const validator = async (name: ValidatorName) =>
    (await h.api<{ validators: ValidatorView[] }>("GET", "/v1/validators")).body.validators.find(
      (each) => each.name === name,
    );

  it("follows rotations by quorum and by governance while messages are on their way, and loses none", async () => {
    const ids: string[] = [];
    ids.push(await send(), await send());
    await rotateValidators(setOf({ one: 1n, two: 2n, three: 1n }, majority));
    ids.push(await send(), await send());
    const epoch = await setValidators(setOf(equal, majority), 3_600n);
    ids.push(await send(), await send());
    for (const id of ids) await delivered(id);
    await indexed(epoch);
    await deliveredUnder(epoch);
  });

  it("counts by each rule and its weights", async () => {
    const superMajority: Threshold = { rule: "superMajority", numerator: 2n, denominator: 3n };
    await h.stopValidator("three");
    await revokeOlder();
    for (const next of [
      setOf({ one: 5n, two: 3n, three: 7n }, majority),
      setOf({ one: 4n, two: 3n, three: 3n }, superMajority),
      setOf({ one: 3n, two: 2n, three: 4n }, { rule: "absoluteWeight", weight: 5n }),
    ]) {
      const epoch = await setValidators(next);
      await indexed(epoch);
      await deliveredUnder(epoch);
    }
    // One more than two thirds of ten is what the first two have: with less they have to wait for the third.
    const last = await setValidators(setOf({ one: 3n, two: 3n, three: 3n }, superMajority));
    await indexed(last);
    const waiting = await send();
    const { reason } = await h.reaches(waiting, "final");
    assert.equal(reason.code, "awaiting-quorum");
    await h.startValidator("three");
    assert.equal(epochOf(await delivered(waiting)), last.toString());
  });

  it("goes on under the old epoch while the new validators are not there, and not once that is revoked", async () => {
    const old = await setValidators(setOf(equal, majority));
    await indexed(old);
    const strangers = [21, 22].map((seed) => ({ account: privateKeyToAddress(localKey(seed)), weight: 1n }));
    const epoch = await setValidators({ validators: strangers, threshold: majority }, 3_600n);
    await indexed(epoch);
    await deliveredUnder(old);
    const count = async () =>
      Number(
        (
          await h.db.query<{ n: number }>("SELECT count(*)::int AS n FROM relay_attestations WHERE epoch = $1", [old])
        )[0]?.n,
      );
    assert.ok((await count()) > 0);
    await revoke(old);
    await until(async () => (await count()) === 0, "its signatures are thrown away");
    const next = await setValidators(setOf(equal, majority));
    await indexed(next);
    await deliveredUnder(next);
  });

  it("reports a validator that signs two histories, counts it no more, and shows it", async () => {
    const epoch = await setValidators(setOf(equal, majority));
    await indexed(epoch);
    const message = await delivered(await send());
    const account = privateKeyToAccount(validatorKeys.three);
    const destination = { chainId: sites.beta.local.chainId, gateway: h.gateways.beta };
    const checkpoint = {
      ...{ originChainId: origin(), originGateway: h.gateways.alpha, generation: 0 },
      ...{ nonce: BigInt(message.nonce ?? 0), accumulator: hashOf(1), epoch },
    };
    // Its own process is honest and has signed the right one, or does so when it pushes.
    await until(
      async () =>
        (
          await h.db.query("SELECT 1 FROM relay_attestations WHERE validator = $1 AND nonce = $2", [
            account.address,
            checkpoint.nonce.toString(),
          ])
        )[0],
      "the third has signed",
    );
    const signature = await account.signTypedData(checkpointTypedData(destination, checkpoint));
    const { body } = await h.api<{ code: string }>("POST", "/v1/attestations", {
      ...{ ...checkpoint, nonce: checkpoint.nonce.toString(), epoch: epoch.toString(), signature },
      ...{ destinationChainId: destination.chainId, destinationGateway: destination.gateway, signer: account.address },
    });
    assert.equal(body.code, "attestation-disagrees");
    const excluded = await until(
      async () => (await validator("three"))?.epochs.every(({ lane }) => lane !== "alpha→beta") && validator("three"),
      "it is excluded",
    );
    const told = excluded?.misbehaviour.map(({ code, lane, reported }) => `${code} ${lane} ${reported}`);
    assert.ok(told?.includes("equivocation alpha→beta true"));
    await h.stopValidator("three");
    await deliveredUnder(epoch);
    const waiting = await h.db.query("SELECT 1 FROM relay_evidence WHERE reported_at IS NULL");
    assert.equal(waiting.length, 0);
  });
});
