import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { decodeFunctionResult, encodeFunctionData, type Hex, numberToHex, parseAbi } from "viem";
import { createDeployer } from "#app/network/deployer.ts";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { redact } from "#core/kernel/redacted.ts";
import { readDestination } from "#relay/destination.ts";
import { createGatewayReader } from "#relay/gateway.ts";
import { advancedWord, availableAt, inboundSlots } from "#relay/protocol/laneWord.ts";
import { onDatabase } from "../support/databases.ts";
import { localKey } from "../support/localChain.ts";
import { until } from "../support/until.ts";
import {
  deployMock,
  type Harness,
  openHarness,
  openSites,
  type Sites,
  validatorNames,
  type WireMessage,
} from "./harness.ts";

let sites: Sites;
const governor = () => createDeployer({ url: sites.beta.url, key: redact(localKey(0)) });
const alphaId = () => BigInt(sites.alpha.local.chainId);

type Call = Parameters<typeof encodeFunctionData<typeof gatewayAbi>>[0];
const govern = (functionName: string, args: readonly unknown[]) =>
  governor().send(
    sites.beta.contracts.gateway,
    encodeFunctionData({ abi: gatewayAbi, functionName, args } as unknown as Call),
  );
const limit = (capacity: number, window: number) =>
  govern("setLimits", [alphaId(), { capacity: 0, window: 0 }, { capacity, window }]);

async function send(h: Harness, recipient: Hex = sites.beta.contracts.recorder): Promise<string> {
  const body = { origin: "alpha", destination: "beta", recipient, payload: "0x6869" };
  const answer = await h.api<WireMessage>("POST", "/v1/messages", body);
  assert.equal(answer.status, 202, JSON.stringify(answer.body));
  return answer.body.id;
}

const waitsFor = (h: Harness, id: string, code: string) =>
  until(
    async () => {
      const { reason } = await h.message(id);
      return reason.code === code && reason;
    },
    `message ${id} waits for ${code}`,
    20_000,
  );

await onDatabase("a destination's rules", (backend) => {
  // What is tested here is the chain; the embedded database is enough for that.
  if (backend.name !== "pglite") return;
  const open: Harness[] = [];
  const harness = async (options: Parameters<typeof openHarness>[2] = {}) => {
    const h = await openHarness(backend, sites, options);
    open.push(h);
    return h;
  };
  const closeAll = async () => {
    for (const h of open.splice(0)) await h.close();
  };
  before(async () => {
    sites = await openSites();
  });
  after(async () => {
    await closeAll();
    await Promise.all([sites?.alpha.local.close(), sites?.beta.local.close()]);
  });

  it("are read from one word as the gateway's own views say them, and seen by calls that override it", async () => {
    const h = await harness();
    const [from, to] = [
      { chain: h.chains.alpha, gateway: h.gateways.alpha },
      { chain: h.chains.beta, gateway: h.gateways.beta },
    ];
    const setting = { delivery: "checkpoint", source: "file", state: "active", revision: 0n } as const;
    const lane = { origin: "alpha", destination: "beta", ...setting, from, to };
    await limit(7, 3_600);
    await govern("pause", [alphaId()]);
    await govern("defer", [alphaId(), [numberToHex(5, { size: 32 })]]);
    const found = await readDestination(lane);
    assert.deepEqual(
      [found.nonce, found.generation, found.isPaused, found.deferrals, availableAt(found, 2n ** 39n)],
      [0n, 0, true, 1, 7n],
    );
    const slots = inboundSlots(sites.alpha.local.chainId);
    const accumulator = numberToHex(9, { size: 32 });
    const overrides = {
      [to.gateway]: { [slots.accumulator]: accumulator, [slots.state]: advancedWord(found.word, 42n, 3n) },
    };
    const read = async (functionName: "inboundHead" | "limitsOf") => {
      const data = encodeFunctionData({ abi: gatewayAbi, functionName, args: [alphaId()] });
      const answer = await to.chain.call({ to: to.gateway, data, overrides }, "pending");
      return decodeFunctionResult({ abi: gatewayAbi, functionName, data: answer });
    };
    assert.deepEqual(await read("inboundHead"), { accumulator, nonce: 42n, generation: 0 });
    assert.equal(((await read("limitsOf")) as readonly bigint[])[3], 7n);
    assert.equal(
      await createGatewayReader(to).isDeferred(sites.alpha.local.chainId, numberToHex(5, { size: 32 })),
      true,
    );
    await govern("unpause", [alphaId()]);
    await govern("undefer", [alphaId(), [numberToHex(5, { size: 32 })]]);
    await limit(0, 0);
    await closeAll();
  });

  it("hold messages back and let them go: a pause, an empty bucket", async () => {
    const h = await harness({ maxBatch: 10 });
    await Promise.all(validatorNames.map((name) => h.startValidator(name)));
    await govern("pause", [alphaId()]);
    const first = await send(h).catch(() => undefined);
    const id = first ?? "";
    await waitsFor(h, id, "destination-paused");
    const { lanes } = (await h.api<{ lanes: { lane: string; pausedThere?: boolean }[] }>("GET", "/v1/lanes")).body;
    assert.equal(lanes.find(({ lane }) => lane === "alpha→beta")?.pausedThere, true);
    await limit(3, 3_600);
    await govern("unpause", [alphaId()]);
    await h.reaches(id, "delivered");
    const more: string[] = [];
    for (let n = 0; n < 4; n++) more.push(await send(h));
    await h.reaches(more[1] ?? "", "delivered");
    await waitsFor(h, more[3] ?? "", "bucket-empty");
    await limit(0, 0);
    // Another message is a reason to look before the next look is due.
    more.push(await send(h));
    for (const each of more) await h.reaches(each, "delivered");
    const stories = await Promise.all(more.map(async (each) => (await h.message(each)).timeline));
    assert.ok(stories.flat().every(({ what, code }) => what !== "DeliveryFailed" || code === "bucket-empty"));
    await closeAll();
  });

  it("let a denied message be deferred, past which its lane goes on; one that burns all its gas stops nobody", async () => {
    const [denied, burner] = await Promise.all([
      deployMock(sites.beta, "HostileRecipients.sol/WrongAnswerer"),
      deployMock(sites.beta, "HostileRecipients.sol/GasBurner"),
    ]);
    const h = await harness({ policy: { denyRecipients: [denied], operatorAccount: "operator" } });
    const ids = [await send(h), await send(h, denied), await send(h, burner), await send(h)];
    await h.reaches(ids[3] ?? "", "final");
    await Promise.all(validatorNames.map((name) => h.startValidator(name)));
    await h.reaches(ids[3] ?? "", "delivered");
    const views = await Promise.all(ids.map((id) => h.message(id)));
    assert.deepEqual(
      views.map(({ status, reason }) => (status === "failed" ? reason.code : status)),
      ["delivered", "deferred", "execution-failed", "delivered"],
    );
    await closeAll();
  });

  it("let a message that failed be retried without being asked once its recipient takes it", async () => {
    const rejecter = await deployMock(sites.beta, "HostileRecipients.sol/RevertingRecipient");
    const h = await harness({ retryFailed: true });
    await Promise.all(validatorNames.map((name) => h.startValidator(name)));
    const id = await send(h, rejecter);
    const failed = await h.reaches(id, "failed");
    assert.ok(failed.reason.nextAttemptAt);
    const abi = parseAbi(["function setAccepting(bool accepting)"]);
    const data = encodeFunctionData({ abi, functionName: "setAccepting", args: [true] });
    await governor().send(rejecter, data);
    await h.reaches(id, "delivered");
    await closeAll();
  });

  it("make two relayers on one lane cost a skipped delivery at most, and fail for neither", async () => {
    const one = await harness({ maxBatch: 3 });
    const two = await harness({ maxBatch: 4, account: "bob", ports: one.ports });
    const ids: string[] = [];
    for (let n = 0; n < 12; n++) ids.push(await send(one));
    await one.reaches(ids.at(-1) ?? "", "final");
    await Promise.all(validatorNames.map((name) => one.startValidator(name)));
    const all = await until(
      async () => {
        const { messages } = (await two.api<{ messages: WireMessage[] }>("GET", "/v1/messages?limit=100")).body;
        const ours = messages.filter(({ status }) => status !== "failed");
        return ours.length >= 12 && ours.every(({ status }) => status === "delivered") && messages;
      },
      "the second relayer sees all delivered",
      30_000,
    );
    for (const id of ids) await one.reaches(id, "delivered");
    const mine = await Promise.all(ids.map((id) => one.message(id)));
    const failures = [...all, ...mine]
      .flatMap(({ timeline }) => timeline)
      .filter(({ what }) => what === "DeliveryFailed");
    assert.deepEqual(failures, []);
    await closeAll();
  });
});
