import type { Fees } from "../chain/chain.ts";
import type { LaneContext, LaneMemory } from "./context.ts";
import { transferGas } from "./fees.ts";
import type { Flight } from "./flight.ts";
import type { IntentRequest } from "./sender.ts";

/** What the account can pay. A transaction it cannot pay is refused for ever and holds up every later nonce. */
export type Purse = {
  /** Wei that waiting transactions may use up at most. */
  reserved(memory: LaneMemory): bigint;
  /**
   * Wei of the latest balance that no waiting transaction may use up; negative when they may use more. Notes balance and
   * nonce in the memory.
   */
  free(memory: LaneMemory): Promise<bigint>;
  /** Wei a gas that a flight can offer at most besides the others that wait. */
  highestFee(memory: LaneMemory, flight: Flight): Promise<bigint>;
};

/** Wei that an intent may cost at most; the value of a call that has to be built is not known and left out. */
export const costOf = ({ call, gas }: IntentRequest, { maxFeePerGas }: Fees): bigint =>
  ("builder" in call ? 0n : call.value) + gas * maxFeePerGas;

export function createPurse({ chain, address, signer }: LaneContext): Purse {
  /** Gas and value of the newest attempt, which is the one that a pool holds. */
  function demand({ intent, attempts }: Flight): { gas: bigint; value: bigint; fee: bigint } {
    const newest = attempts.at(-1);
    const fee = newest?.fees.maxFeePerGas ?? 0n;
    if (newest?.kind === "void") return { gas: transferGas, value: 0n, fee };
    const { call, gas } = intent;
    const value = !("builder" in call) ? call.value : newest === undefined ? 0n : signer.value(newest);
    return { gas, value, fee };
  }

  /** What was refused for want of funds gives way: only voiding it is paid for. */
  function reserved(flight: Flight): bigint {
    if (flight.included !== undefined) return 0n;
    const { gas, value, fee } = demand(flight);
    return flight.unpaid !== undefined && !flight.released ? transferGas * fee : value + gas * fee;
  }

  const sumOf = (flights: Iterable<Flight>) => [...flights].reduce((sum, flight) => sum + reserved(flight), 0n);

  return {
    reserved: (memory) => sumOf(memory.flights.values()),
    async free(memory) {
      const { balance, nonce } = await chain.account(address);
      memory.balance = balance;
      memory.chainNonce = nonce;
      return balance - sumOf(memory.flights.values());
    },
    async highestFee(memory, flight) {
      const { balance } = await chain.account(address);
      const others = [...memory.flights.values()].filter(({ nonce }) => nonce !== flight.nonce);
      const { gas, value } = demand(flight);
      const left = balance - sumOf(others) - value;
      return left > 0n ? left / gas : 0n;
    },
  };
}
