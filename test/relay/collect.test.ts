import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { AskValidator } from "#relay/ask.ts";
import { createCollector } from "#relay/collect.ts";
import type { LaneEnds } from "#relay/lane.ts";
import type { Attestation } from "#relay/quorum.ts";
import type { AttestRequest, WireAttestation } from "#relay/schemas.ts";
import type { ValidatorEpoch, ValidatorInfo } from "#relay/validators.ts";
import { quietLog } from "../support/databases.ts";
import { addressOf, epoch, hashOf } from "./samples.ts";

const lane = {
  ...{ origin: "alpha", destination: "beta" },
  from: { chain: { chainId: 1 }, gateway: addressOf(1) },
  to: { chain: { chainId: 2 }, gateway: addressOf(2) },
} as unknown as LaneEnds;
const places = new Map<bigint, Hex>([1n, 2n, 3n].map((nonce) => [nonce, hashOf(Number(nonce))]));

type Answer = (request: AttestRequest, validator: ValidatorInfo) => Promise<WireAttestation>;

const honest =
  (head: bigint): Answer =>
  async ({ nonce: wanted, ...request }, { address }) => {
    const nonce = wanted < head ? wanted : head;
    return {
      ...{ ...request, nonce, accumulator: hashOf(Number(nonce)), signer: address, signature: "0x" },
      ...{ originGateway: addressOf(1), destinationGateway: addressOf(2) },
    };
  };
const dead: Answer = async () => Promise.reject(new TypeError("fetch failed"));
const hanging: Answer = () => new Promise(() => undefined);

describe("collecting signatures", () => {
  let answers: Record<string, Answer>;
  let noted: string[];
  let received: bigint[];
  let asked: string[];
  beforeEach(() => {
    answers = { one: honest(9n), two: honest(9n), three: honest(9n) };
    [noted, received, asked] = [[], [], []];
  });

  function collector() {
    const ask: AskValidator = (validator, request) => {
      asked.push(`${validator.name} ${request.epoch}`);
      return (answers[validator.name] ?? dead)(request, validator);
    };
    return createCollector({
      ask,
      attestations: {
        receive: async ({ nonce }) => {
          received.push(nonce);
          return lane;
        },
        verify: async ({ signature, signer }) => {
          if (signature === "0x") return;
          const details = { signer, misbehaviour: "signature-invalid" };
          throw new LockstepError("attestation-refused", "not its own", { details });
        },
      },
      misbehaviour: {
        note: async ({ name }, code) => void noted.push(`${name} ${code}`),
        noteError: async ({ name }, { details }) => void noted.push(`${name} ${details.misbehaviour}`),
      },
      log: quietLog,
    });
  }
  const wanted = (epochs: ValidatorEpoch[] = [epoch], pushed: Attestation[] = []) => ({
    ...{ lane, generation: 0, epochs, places, to: 3n, pushed },
  });
  const older: ValidatorEpoch = { ...epoch, epoch: 1n };
  const newer: ValidatorEpoch = { ...epoch, epoch: 2n };

  it("needs nobody beyond a quorum: who hangs, is dead or answers rubbish keeps nobody waiting, and is named", async () => {
    const rubbish: Record<string, Answer> = {
      hanging,
      dead,
      "answer-off-subject": async (request, validator) => honest(9n)({ ...request, generation: 7 }, validator),
      "signature-invalid": async (request, validator) => ({
        ...(await honest(9n)(request, validator)),
        signature: "0x11",
      }),
    };
    for (const [code, answer] of Object.entries(rubbish)) {
      for (const name of ["one", "two", "three"]) {
        noted = [];
        answers = { one: honest(9n), two: honest(9n), three: honest(9n), [name]: answer };
        const { quorum } = await collector()(wanted());
        assert.equal(quorum?.nonce, 3n);
        const expected = code.includes("-") && noted.length > 0 ? [`${name} ${code}`] : [];
        assert.deepEqual(noted, expected);
      }
    }
  });

  it("hands a contradiction on, and counts it for nothing", async () => {
    answers.one = async (request, validator) => ({
      ...(await honest(9n)(request, validator)),
      accumulator: hashOf(99),
    });
    answers.two = dead;
    assert.equal((await collector()(wanted())).quorum, undefined);
    assert.deepEqual(received, [3n]);
  });

  it("takes the lowest of different heights, and does not wait for one that was silent before", async () => {
    answers = { one: honest(2n), two: honest(9n), three: dead };
    const collect = collector();
    assert.equal((await collect(wanted())).quorum?.nonce, 2n);
    answers.three = hanging;
    assert.equal((await collect(wanted())).quorum?.nonce, 2n);
  });

  it("prefers the newest epoch, and falls back to an older one that is valid", async () => {
    assert.equal((await collector()(wanted([newer, older]))).quorum?.epoch.epoch, 2n);
    asked = [];
    answers = Object.fromEntries(
      ["one", "two", "three"].map((name) => [
        name,
        (request, validator) => (request.epoch === 2n ? dead : honest(9n))(request, validator),
      ]),
    );
    assert.equal((await collector()(wanted([newer, older]))).quorum?.epoch.epoch, 1n);
    assert.ok(asked.includes("one 2") && asked.includes("one 1"));
  });

  it("never adds up signatures of different epochs, nor counts an excluded validator", async () => {
    answers = {};
    const word = (index: number, under: bigint): Attestation => ({
      ...{ epoch: under, validator: addressOf(index + 10), nonce: 3n, accumulator: hashOf(3), signature: "0x" },
    });
    assert.equal((await collector()(wanted([newer, older], [word(0, 1n), word(1, 2n)]))).quorum, undefined);
    assert.equal((await collector()(wanted([newer, older], [word(0, 1n), word(1, 1n)]))).quorum?.epoch.epoch, 1n);
    const left = epoch.set.validators.slice(1);
    const excluding: ValidatorEpoch = { ...epoch, counting: { ...epoch.set, validators: left } };
    assert.equal((await collector()(wanted([excluding], [word(0, 1n), word(1, 1n)]))).quorum, undefined);
  });
});
