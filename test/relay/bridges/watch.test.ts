import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { encodeFunctionData, parseAbi } from "viem";
import { createDeployer } from "#app/network/deployer.ts";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { redact } from "#core/kernel/redacted.ts";
import { onDatabase } from "#test/support/databases.ts";
import { localKey } from "#test/support/localChain.ts";
import { until } from "#test/support/until.ts";
import { type Harness, openHarness, openSites, type Site, type Sites } from "../harness.ts";
import { addressOf } from "../samples.ts";

const vault: Hex = "0x00000000000000000000000000000000000000b0";
const abi = parseAbi(["function mint(address to, uint256 amount)"]);

await onDatabase("a bridge that is watched", (backend) => {
  let sites: Sites;
  let h: Harness;
  before(async () => {
    sites = await openSites();
    await mint("alpha", 100n);
    await mint("beta", 100n);
    const [home, remote] = [
      { chain: "alpha", token: sites.alpha.contracts.token, bridge: vault },
      { chain: "beta", token: sites.beta.contracts.token },
    ];
    h = await openHarness(backend, sites, { bridges: [{ name: "dollar", home, remote, guardianAccount: "operator" }] });
  });
  after(async () => {
    await h?.close();
    for (const site of sites ? [sites.alpha, sites.beta] : []) await site.local.close();
  });

  const deployerOf = ({ url }: Site) => createDeployer({ url, key: redact(localKey(0)) });
  const mint = (name: "alpha" | "beta", amount: bigint) =>
    deployerOf(sites[name]).send(
      sites[name].contracts.token,
      encodeFunctionData({ abi, functionName: "mint", args: [vault, amount] }),
    );
  const isPaused = async (name: "alpha" | "beta") => {
    const other = sites[name === "alpha" ? "beta" : "alpha"].local.chainId;
    const data = encodeFunctionData({ abi: gatewayAbi, functionName: "isPaused", args: [BigInt(other)] });
    const { gateway } = sites[name].contracts;
    return BigInt(await sites[name].local.rpc<Hex>("eth_call", [{ to: gateway, data }, "latest"])) === 1n;
  };
  type Listed = { bridges: { name: string; compared?: { backed: boolean; locked: string; minted: string } }[] };
  const compared = async () => (await h.api<Listed>("GET", "/v1/bridges")).body.bridges[0]?.compared;

  it("is left alone while it holds what it has minted", async () => {
    await until(async () => (await compared())?.backed === true, "it was compared");
    assert.deepEqual(
      [(await compared())?.locked, (await compared())?.minted, await isPaused("alpha"), await isPaused("beta")],
      ["100", "100", false, false],
    );
    assert.deepEqual(await h.relay.concerns(), []);
  });

  it("is not asked to be paused again and again by who may not", async () => {
    // The other way round, with nothing locked.
    const [home, remote] = [
      { chain: "beta", token: sites.beta.contracts.token, bridge: addressOf(9) },
      { chain: "alpha", token: sites.alpha.contracts.token },
    ];
    const own = await openHarness(backend, sites, {
      bridges: [{ name: "dollar", home, remote, guardianAccount: "bob" }],
    });
    const asked = async () => (await own.db.query("SELECT id FROM sender_intent WHERE kind = 'relay.pause'")).length;
    const begun = Date.now();
    const looks = async () => (await own.db.query<{ at: Date }>("SELECT at FROM relay_bridges"))[0]?.at.getTime() ?? 0;
    try {
      const ended = "SELECT 1 FROM sender_intent WHERE kind = 'relay.pause' AND state = 'abandoned'";
      await until(async () => (await own.db.query(ended)).length >= 2, "both were refused");
      for (let last = await looks(), seen = 0; seen < 15; seen++) {
        await until(async () => (await looks()) > last, "it is looked at again");
        last = await looks();
      }
      const times = await asked();
      // Rests of one and five seconds, at each end.
      const most = [0, 1_000, 6_000, 16_000].filter((ms) => begun + ms <= Date.now()).length;
      assert.ok(times <= 2 * most, `asked ${times} times, at most ${most} at each end in this time`);
      assert.deepEqual([await isPaused("alpha"), await isPaused("beta")], [false, false]);
    } finally {
      await own.close();
    }
  });

  it("has its lane paused at both ends once it has minted more, again if somebody takes that back", async () => {
    await mint("beta", 1n);
    await until(async () => (await isPaused("alpha")) && (await isPaused("beta")), "both ends are paused");
    assert.equal((await compared())?.backed, false);
    assert.match((await h.relay.concerns()).join(), /bridge-unbacked: dollar has minted 101 and holds 100/);
    const data = encodeFunctionData({
      abi: gatewayAbi,
      functionName: "unpause",
      args: [BigInt(sites.alpha.local.chainId)],
    });
    await deployerOf(sites.beta).send(sites.beta.contracts.gateway, data);
    await until(() => isPaused("beta"), "it is paused again");
  });
});
