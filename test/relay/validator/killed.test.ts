import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, it } from "node:test";
import type { Hex } from "#core/kernel/codec.ts";
import { createSigningStore } from "#relay/validator/signingStore.ts";
import { onDatabase } from "../../support/databases.ts";
import { type JsonServer, startJsonServer } from "../../support/jsonServer.ts";
import { until } from "../../support/until.ts";
import {
  type Harness,
  messageOf,
  openHarness,
  openSites,
  receivedAt,
  type Sites,
  sendDirectly,
  type ValidatorName,
  validatorNames,
} from "../harness.ts";
import { hashOf } from "../samples.ts";
import { createValidatorProcess, type ValidatorProcess } from "../validatorProcess.ts";

/** A mark for each validator. Two that have signed would be a quorum, so at most one gets that far. */
type Marks = Readonly<Record<ValidatorName, string>>;

await onDatabase("validators killed by kill -9", (backend) => {
  let sites: Sites;
  let h: Harness;
  let relayer: JsonServer;
  let running: Record<ValidatorName, ValidatorProcess>;
  before(async () => {
    [sites, relayer] = await Promise.all([openSites(), startJsonServer()]);
    relayer.respond = () => ({ json: {} });
    h = await openHarness(backend, sites, { finalityBlocks: 1 });
    running = validators("served", (name) => h.validatorConfig(name));
  });
  afterEach(() => each((validator) => validator.kill()));
  after(async () => {
    await h?.close();
    await relayer?.close();
    await Promise.all([sites?.alpha.local.close(), sites?.beta.local.close()]);
  });

  function validators(folder: string, configOf: (name: ValidatorName) => ReturnType<Harness["validatorConfig"]>) {
    const path = join(h.folder, folder);
    mkdirSync(path);
    const made = validatorNames.map((name) => [name, createValidatorProcess(configOf(name), path)] as const);
    return Object.fromEntries(made) as Record<ValidatorName, ValidatorProcess>;
  }
  /** Validators with an empty memory that take the newest block for final, and push to nobody who delivers. */
  const hasty = (folder: string) =>
    validators(folder, (name) => {
      const storeFile = join(h.folder, folder, `${name}.sqlite`);
      const config = h.validatorConfig(name, { relayerUrl: relayer.url, storeFile });
      const chains = Object.entries(config.chains).map(([chain, own]) => [chain, { ...own, finality: { blocks: 0 } }]);
      return { ...config, chains: Object.fromEntries(chains) };
    });
  const each = (work: (validator: ValidatorProcess, name: ValidatorName) => Promise<unknown>) =>
    Promise.all(validatorNames.map((name) => work(running[name], name)));
  const send = (payload: Hex) => sendDirectly(sites.alpha, sites.beta, sites.beta.contracts.recorder, payload);
  const byPayload = (payload: Hex) => messageOf(h, payload);
  const received = (payload: Hex) => receivedAt(h, sites, payload);
  const dieAt = (marks: Marks) =>
    each(async (validator, name) => {
      validator.startDyingAt(marks[name]);
      await validator.killed();
    });
  type Kept = { validator: string; nonce: bigint; accumulator: Hex };
  const attestations = (nonce: string) =>
    h.db.query<Kept>("SELECT validator, nonce, accumulator FROM relay_attestations WHERE nonce = $1", [nonce]);

  const rounds: readonly (readonly [Hex, Marks])[] = [
    ["0xa001", { one: "drafted/alpha", two: "claimed/checkpoint", three: "signed/checkpoint" }],
    ["0xa002", { one: "recorded/alpha", two: "pushed/checkpoint", three: "claimed/checkpoint" }],
  ];
  for (const [payload, marks] of rounds) {
    it(`sign what they would have signed, after dying at ${Object.values(marks).join(", ")}`, async () => {
      await send(payload);
      await sites.alpha.local.mine(1);
      const { id, nonce = "" } = await byPayload(payload);
      await dieAt(marks);
      const early = Object.values(marks).filter((mark) => mark === "pushed/checkpoint").length;
      assert.equal((await attestations(nonce)).length, early);
      await each((validator) => validator.start());
      await h.reaches(id, "delivered");
      await until(async () => (await attestations(nonce)).length === 3, "all three have signed");
      assert.equal(new Set((await attestations(nonce)).map(({ accumulator }) => accumulator)).size, 1);
      assert.equal(await received(payload), 1);
    });
  }

  it("remember every signature that has left them, and have contradicted none", async () => {
    const { validators: views } = (await h.api<{ validators: { misbehaviour: unknown[] }[] }>("GET", "/v1/validators"))
      .body;
    assert.deepEqual(
      views.map(({ misbehaviour }) => misbehaviour),
      [[], [], []],
    );
    const spell = (name: "alpha" | "beta") => `${sites[name].local.chainId}-${h.gateways[name]}`;
    const kept = (await Promise.all(["1", "2"].map(attestations))).flat();
    for (const name of validatorNames) {
      const store = createSigningStore(h.validatorConfig(name).storeFile);
      for (const { nonce, accumulator } of kept) {
        const link = { nonce, accumulator: hashOf(0) };
        assert.equal(store.claim({ origin: spell("alpha"), destination: spell("beta") }, 0, link), accumulator);
      }
      store.close();
    }
  });

  it("sign no second history when the first is gone at their restart", async () => {
    running = hasty("reorganised");
    const snapshot = await sites.alpha.local.snapshot();
    await send("0xa003");
    await dieAt({ one: "recorded/alpha", two: "claimed/checkpoint", three: "signed/checkpoint" });
    assert.deepEqual(relayer.bodies, []);
    await sites.alpha.local.revert(snapshot);
    await send("0xb003");
    await each((validator) => validator.start());
    // The one had not decided yet; nobody can tell whether the others' signatures left them.
    await until(() => relayer.bodies.length === 1, "one has signed");
    for (const name of ["two", "three"] as const)
      assert.match((await running[name].reaches("halted")).reason ?? "", /nonce 3/);
    assert.equal((await running.one.health()).status, "following");
    assert.equal(relayer.bodies.length, 1);
  });

  it("sign no second header of a height", async () => {
    running = hasty("headers");
    const snapshot = await sites.alpha.local.snapshot();
    await sites.alpha.local.mine(1);
    const height = await sites.alpha.local.height();
    const place = { originChainId: sites.alpha.local.chainId, destinationChainId: sites.beta.local.chainId };
    const ask = (name: ValidatorName) =>
      running[name].post("/attest-header", { ...place, generation: 0, epoch: "1", height: height.toString() });
    const marks: Marks = { one: "claimed/header", two: "claimed/header", three: "signed/header" };
    await each(async (validator, name) => {
      validator.startDyingAt(marks[name]);
      await validator.reaches("following");
      await assert.rejects(ask(name));
      await validator.killed();
    });
    await running.one.start();
    assert.equal((await ask("one")).blockHash, (await h.chains.alpha.block(height))?.hash);
    await running.one.kill();
    await sites.alpha.local.revert(snapshot);
    await sites.alpha.local.mine(1);
    await each((validator) => validator.start());
    await each(async (validator, name) => {
      assert.match((await validator.reaches("halted")).reason ?? "", /signed header/);
      assert.equal((await ask(name)).code, "validator-halted");
    });
  });
});
