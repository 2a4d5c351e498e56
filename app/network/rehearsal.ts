import { encodeDeployData, getContractAddress, size } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import { bytecodeOf } from "./artifacts.ts";
import type { Deployer } from "./deployer.ts";

/** A deployment that is only played through. */
export type Rehearsal = Pick<Deployer, "address" | "deploy"> & {
  send(to: Hex, data: Hex): Promise<never>;
  /** Gas that all of it takes at most, about: nothing was executed. */
  gas(): bigint;
  transactions(): number;
};

/** What a transaction and a creation cost before anything runs, a byte of calldata, and a byte of code that is kept. */
const [transactionGas, creationGas, byteGas, codeGas] = [21_000n, 32_000n, 16n, 200n];
/** What constructors and initializers of these contracts do, and a call that sets something; above what was measured. */
const runGas = 400_000n;

/** Counts nonces as a chain would, so that the addresses are those which the same deployment will have. */
export function createRehearsal({ address, nonce }: { address: Hex; nonce: number }): Rehearsal {
  let next = BigInt(nonce);
  let gas = 0n;
  const take = () => next++;
  return {
    address,
    async deploy(name, abi, args) {
      const data = encodeDeployData({ abi, bytecode: bytecodeOf(name), args });
      const bytes = BigInt(size(data));
      gas += transactionGas + creationGas + bytes * (byteGas + codeGas) + runGas;
      return getContractAddress({ from: address, nonce: take() });
    },
    async send(_to, data) {
      take();
      gas += transactionGas + BigInt(size(data)) * byteGas + runGas;
      return undefined as never;
    },
    gas: () => gas,
    transactions: () => Number(next) - nonce,
  };
}
