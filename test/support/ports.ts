import { randomInt } from "node:crypto";
import type { NetworkOptions } from "#app/network/network.ts";

/**
 * Ports that machines do not give out by themselves start here, in blocks that are as long as a network needs. One that
 * the machine chose could go to somebody else before it is listened on, or while a killed service is away.
 */
const first = 20_000;
const blockSize = 6;
const blocks = 1_984;
/** Which of the processes at a time this one is; no other begins at a block with the same remainder. */
const slot = Number(process.env.LOCKSTEP_TEST_SLOT ?? 0);
const slots = 64;

let block = randomInt(blocks / slots);

/** Ports for one more network of this process. */
export function networkPorts(): NetworkOptions["ports"] {
  block = (block + 1) % (blocks / slots);
  const api = first + (block * slots + (slot % slots)) * blockSize;
  return { api, alpha: api + 1, beta: api + 2, validators: api + 3 };
}
