import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import {
  type AbiFunction,
  type AbiParameter,
  encodeFunctionData,
  type Hex,
  toFunctionSelector,
  zeroAddress,
} from "viem";
import { encodeAccessPlan, gatewayDuties, type Role, roleIds } from "#app/network/roles.ts";
import { accessManagerAbi } from "#core/abi/accessManager.ts";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { accounts, openChain, type TestChain } from "../contracts/chains.ts";
import { authorityOf } from "../contracts/gatewayPair.ts";
import { deploySecond, encodeSchedule, encodeUpgrade, implementationOf, wait } from "../contracts/governed.ts";
import { deployGateway } from "../contracts/lane.ts";
import { refusalOf } from "../contracts/reverts.ts";

/** What may be called where is a matter of the AccessManager alone, so nothing needs to be there. */
const stateOracle: Hex = "0x00000000000000000000000000000000000aBCdE";
const DELAY = 86_400;
const FIVE_DAYS = 432_000;

const numbers = { deployer: 0, governance: 1, guardian: 2, operator: 3, administrator: 4, stranger: 5 } as const;
type Who = keyof typeof numbers;
const addressOf = (who: Who): Hex => accounts[numbers[who]]!.address;
const holders = {
  administrator: addressOf("administrator"),
  governance: addressOf("governance"),
  guardian: addressOf("guardian"),
  operator: addressOf("operator"),
};

/** Refuses everybody but the AccessManager itself, which passes on what its administrator decided after the delay. */
const ofTheAuthority = "setAuthority";

const changing: readonly AbiFunction[] = gatewayAbi.filter(
  (item) => item.type === "function" && item.stateMutability !== "view" && item.stateMutability !== "pure",
);

/** Arguments that decode, whatever they mean. */
function anyValue({ type, components = [] }: AbiParameter & { components?: readonly AbiParameter[] }): unknown {
  if (type.endsWith("]")) return [];
  if (type === "tuple") return Object.fromEntries(components.map((part) => [part.name, anyValue(part)]));
  if (type === "address") return zeroAddress;
  if (type === "bool") return false;
  if (type === "string") return "";
  const fixed = /^bytes(\d+)$/.exec(type);
  if (fixed) return `0x${"00".repeat(Number(fixed[1]))}`;
  return type === "bytes" ? "0x" : 0n;
}

describe("the roles of a gateway", () => {
  let chain: TestChain;
  let gateway: Hex;
  let authority: Hex;
  let next: Hex;
  before(async () => {
    chain = await openChain("alpha");
    next = await deploySecond(chain);
  });
  after(() => chain?.close());

  const setUp = async (delay: number) => {
    const deployer = addressOf("deployer");
    gateway = await deployGateway(chain, deployer);
    authority = await authorityOf({ chain, chainId: chain.chainId, gateway });
    await chain.send(numbers.deployer, {
      to: authority,
      data: encodeAccessPlan({ gateway, stateOracle, deployer, holders, delay }),
    });
  };
  const upgrade = () => encodeUpgrade(next);
  const refusal = (who: Who, to: Hex, data: Hex) => refusalOf(chain, addressOf(who), to, data);
  const send = (who: Who, to: Hex, data: Hex) => chain.send(numbers[who], { to, data });
  const cancelling = (caller: Who, target: Hex, data: Hex) =>
    encodeFunctionData({ abi: accessManagerAbi, functionName: "cancel", args: [addressOf(caller), target, data] });
  const granting = (role: Role | "administrator", who: Who, delay: number) =>
    encodeFunctionData({
      abi: accessManagerAbi,
      functionName: "grantRole",
      args: [roleIds[role], addressOf(who), delay],
    });
  const may = async (who: Who, { name }: { name: string }, target = gateway) => {
    const item = changing.find((one) => one.name === name)!;
    return chain.reader.readContract({
      address: authority,
      abi: accessManagerAbi,
      functionName: "canCall",
      args: [addressOf(who), target, toFunctionSelector(item)],
    });
  };

  describe("with a delay", () => {
    beforeEach(() => setUp(DELAY));

    it("cover every function that is restricted, and no other", async () => {
      const restricted: string[] = [];
      for (const item of changing) {
        const data = encodeFunctionData({ abi: [item], args: item.inputs.map(anyValue) });
        if ((await refusal("stranger", gateway, data)) === "AccessManagedUnauthorized") restricted.push(item.name);
      }
      const covered = [...Object.values(gatewayDuties).flat(), ofTheAuthority];
      assert.deepEqual(restricted.toSorted(), covered.toSorted());
    });

    it("let everybody do just what their role is for, governance alone after the delay", async () => {
      for (const [role, duties] of Object.entries(gatewayDuties)) {
        for (const name of duties) {
          for (const who of Object.keys(numbers) as Who[]) {
            const expected = who !== role ? [false, 0] : role === "governance" ? [false, DELAY] : [true, 0];
            assert.deepEqual(await may(who, { name }), expected, `${who} ${name}`);
          }
        }
      }
    });

    it("let governance alone change the state oracle, after the delay", async () => {
      for (const who of Object.keys(numbers) as Who[]) {
        const expected = [false, who === "governance" ? DELAY : 0];
        assert.deepEqual(await may(who, { name: "upgradeToAndCall" }, stateOracle), expected, who);
      }
    });

    it("upgrade only what was scheduled, and not before its time", async () => {
      const old = await implementationOf(chain, gateway);
      assert.equal(await refusal("governance", gateway, upgrade()), "AccessManagerNotScheduled");
      for (const who of ["guardian", "operator", "administrator", "deployer", "stranger"] as const) {
        assert.equal(await refusal(who, gateway, upgrade()), "AccessManagedUnauthorized", who);
        assert.equal(
          await refusal(who, authority, encodeSchedule(gateway, upgrade())),
          "AccessManagerUnauthorizedCall",
          who,
        );
      }
      await send("governance", authority, encodeSchedule(gateway, upgrade()));
      assert.equal(await refusal("governance", gateway, upgrade()), "AccessManagerNotReady");
      await wait(chain, DELAY - 60);
      assert.equal(await refusal("governance", gateway, upgrade()), "AccessManagerNotReady");
      assert.equal(await implementationOf(chain, gateway), old);
      await wait(chain, 60);
      await send("governance", gateway, upgrade());
      assert.equal(await implementationOf(chain, gateway), next);
      assert.equal(await refusal("governance", gateway, upgrade()), "AccessManagerNotScheduled", "once only");
    });

    it("keep cancelled what the guardian cancelled", async () => {
      await send("governance", authority, encodeSchedule(gateway, upgrade()));
      const cancel = cancelling("governance", gateway, upgrade());
      for (const who of ["operator", "stranger", "deployer"] as const) {
        assert.equal(await refusal(who, authority, cancel), "AccessManagerUnauthorizedCancel", who);
      }
      await send("guardian", authority, cancel);
      await wait(chain, DELAY);
      assert.equal(await refusal("governance", gateway, upgrade()), "AccessManagerNotScheduled");
    });

    it("change hands only after the delay, which the guardian cannot prevent", async () => {
      const dismiss = encodeFunctionData({
        abi: accessManagerAbi,
        functionName: "revokeRole",
        args: [roleIds.guardian, addressOf("guardian")],
      });
      assert.equal(await refusal("governance", authority, dismiss), "AccessManagerUnauthorizedAccount");
      assert.equal(await refusal("deployer", authority, dismiss), "AccessManagerUnauthorizedAccount");
      assert.equal(await refusal("administrator", authority, dismiss), "AccessManagerNotScheduled");
      await send("administrator", authority, encodeSchedule(authority, dismiss));
      const cancel = cancelling("administrator", authority, dismiss);
      assert.equal(await refusal("guardian", authority, cancel), "AccessManagerUnauthorizedCancel");
      await wait(chain, DELAY);
      await send("administrator", authority, dismiss);
      await send("governance", authority, encodeSchedule(gateway, upgrade()));
      const veto = cancelling("governance", gateway, upgrade());
      assert.equal(await refusal("guardian", authority, veto), "AccessManagerUnauthorizedCancel");
    });

    it("cannot have their delays shortened at once", async () => {
      const shorten = granting("governance", "governance", 60);
      const shortenOwn = granting("administrator", "administrator", 0);
      for (const data of [shorten, shortenOwn]) {
        assert.equal(await refusal("administrator", authority, data), "AccessManagerNotScheduled");
        assert.equal(await refusal("governance", authority, data), "AccessManagerUnauthorizedAccount");
        await send("administrator", authority, encodeSchedule(authority, data));
      }
      await wait(chain, DELAY);
      await send("administrator", authority, shorten);
      assert.deepEqual(await may("governance", { name: "upgradeToAndCall" }), [false, DELAY], "still the old delay");
      assert.equal(await refusal("governance", gateway, upgrade()), "AccessManagerNotScheduled");
      await wait(chain, DELAY - 60);
      assert.deepEqual(await may("governance", { name: "upgradeToAndCall" }), [false, 60]);
    });

    it("are guarded by the AccessManager's own delay too, once that is in force", async () => {
      const adminDelay = () =>
        chain.reader.readContract({
          address: authority,
          abi: accessManagerAbi,
          functionName: "getTargetAdminDelay",
          args: [gateway],
        });
      assert.equal(await adminDelay(), 0);
      await wait(chain, FIVE_DAYS);
      assert.equal(await adminDelay(), DELAY);
    });
  });

  it("act at once where there is no delay, and leave the deployer nothing", async () => {
    await setUp(0);
    assert.equal(await refusal("deployer", gateway, upgrade()), "AccessManagedUnauthorized");
    const back = granting("governance", "deployer", 0);
    assert.equal(await refusal("deployer", authority, back), "AccessManagerUnauthorizedAccount");
    await send("governance", gateway, upgrade());
    assert.equal(await implementationOf(chain, gateway), next);
  });
});
