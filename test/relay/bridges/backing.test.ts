import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeFunctionData, encodeFunctionResult, erc20Abi, zeroHash } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { Chain } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { type Bridge, readBacking } from "#relay/bridges/backing.ts";
import type { RelayChain } from "#relay/index.ts";

const gateway: Hex = "0x0000000000000000000000000000000000000001";
const token: Hex = "0x0000000000000000000000000000000000000002";
const vault: Hex = "0x0000000000000000000000000000000000000003";

/** A chain at one block: what it has sent and processed, and what the token contract says there. */
type State = { readonly sent: number; readonly processed: number; readonly amount: number };

/** Two chains and a bridge between them, block by block; a message can be processed once its block is final. */
function createWorld() {
  const blocks = { home: [{ sent: 0, processed: 0, amount: 0 }], remote: [{ sent: 0, processed: 0, amount: 0 }] };
  const final = { home: 0, remote: 0 };
  /** Amounts that went each way, in the order of their nonces. */
  const sent: Record<Side, number[]> = { home: [], remote: [] };
  const last = (side: Side): State => blocks[side].at(-1) as State;
  const add = (side: Side, change: Partial<State>) => blocks[side].push({ ...last(side), ...change });
  const changeOf = (side: Side, amount: number) => last(side).amount + (side === "home" ? amount : -amount);
  return {
    blocks,
    final,
    /** Locks at home, burns at remote. */
    send(side: Side, amount: number) {
      if (side === "remote" && last("remote").amount < amount) return;
      sent[side].push(amount);
      add(side, { sent: last(side).sent + 1, amount: changeOf(side, amount) });
    },
    /** The next message that is final at the other chain is processed: releases at home, mints at remote. */
    process(side: Side) {
      const from: Side = side === "home" ? "remote" : "home";
      const { processed } = last(side);
      const amount = sent[from][processed];
      if (amount === undefined || (blocks[from][final[from]] as State).sent <= processed) return;
      add(side, { processed: processed + 1, amount: changeOf(side, -amount) });
    },
    finalize(side: Side) {
      final[side] = blocks[side].length - 1;
    },
    forge(amount: number) {
      add("remote", { amount: last("remote").amount + amount });
    },
  };
}
type Side = "home" | "remote";
type World = ReturnType<typeof createWorld>;

/** As the service sees the world, in which something may happen before every answer. */
function bridgeIn(world: World, meanwhile: () => void): Bridge {
  const chainOf = (side: Side, chainId: number) => {
    const call: Chain["call"] = async ({ to, data }, at) => {
      for (let steps = 0; steps < 5; steps++) meanwhile();
      const state = world.blocks[side][Number(at)] as State;
      if (to === token) {
        const { functionName } = decodeFunctionData({ abi: erc20Abi, data: data as Hex });
        return encodeFunctionResult({ abi: erc20Abi, functionName, result: BigInt(state.amount) } as never);
      }
      const { functionName } = decodeFunctionData({ abi: gatewayAbi, data: data as Hex });
      const nonce = BigInt(functionName === "outboundHead" ? state.sent : state.processed);
      const result = { accumulator: zeroHash, nonce, generation: 0 };
      return encodeFunctionResult({ abi: gatewayAbi, functionName, result } as never);
    };
    const block = async () => {
      for (let steps = 0; steps < 5; steps++) meanwhile();
      return { number: BigInt(world.final[side]) };
    };
    return { chain: { name: side, chainId, call, block } as unknown as RelayChain["chain"], gateway };
  };
  return {
    name: "dollar",
    home: { at: chainOf("home", 1), token, bridge: vault },
    remote: { at: chainOf("remote", 2), token },
  };
}

const side = fc.constantFrom<Side>("home", "remote");
const step = fc.oneof(
  fc.record({ kind: fc.constant("send" as const), side, amount: fc.integer({ min: 1, max: 100 }) }),
  fc.record({ kind: fc.constant("process" as const), side }),
  fc.record({ kind: fc.constant("finalize" as const), side }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function take(world: World, next: Step | undefined): void {
  if (next?.kind === "send") world.send(next.side, next.amount);
  else if (next) world[next.kind](next.side);
}

const runs = Number(process.env.LOCKSTEP_TEST_RUNS ?? 300);

describe("what a bridge has minted", () => {
  it("is never said to be more than it holds, whatever is under way and happens while it is read", async () => {
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.array(step, { maxLength: 60 }), async (before, during) => {
        const world = createWorld();
        for (const each of before) take(world, each);
        const queue = [...during];
        const backing = await readBacking(bridgeIn(world, () => take(world, queue.shift())));
        if (!backing) return;
        compared += 1;
        assert.ok(backing.minted <= backing.locked, `${backing.minted} of ${backing.locked}`);
      }),
      { numRuns: runs },
    );
    assert.ok(compared > runs / 2, `only ${compared} could be compared`);
  });

  it("is not taken from before a burn that home has already honoured", async () => {
    const world = createWorld();
    const settle = () => {
      for (const each of ["home", "remote"] as const) world.finalize(each);
    };
    world.send("home", 10);
    settle();
    world.process("remote");
    world.send("remote", 10);
    settle();
    world.process("home");
    settle();
    // Home is read with nothing locked. Before the other chain is, three more transfers arrive there.
    const inBetween = () => {
      for (const amount of [1, 2, 3]) world.send("home", amount);
      settle();
      for (let each = 0; each < 3; each++) world.process("remote");
      settle();
    };
    let calls = 0;
    // The fourth question is for the other chain's final block. Of its blocks, that before the burn is found first.
    const backing = await readBacking(bridgeIn(world, () => (++calls === 5 * 3 + 1 ? inBetween() : undefined)));
    assert.equal(backing, undefined);
  });

  it("is said to be more as soon as that is final, with nothing under way", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.integer({ min: 1, max: 5 }), async (before, forged) => {
        const world = createWorld();
        for (const each of before) take(world, each);
        world.forge(forged);
        for (let round = 0; round < 100; round++) {
          for (const each of ["home", "remote"] as const) {
            world.finalize(each);
            world.process(each);
          }
        }
        const backing = await readBacking(bridgeIn(world, () => undefined));
        assert.ok(backing && backing.minted === backing.locked + BigInt(forged));
      }),
      { numRuns: runs },
    );
  });
});
