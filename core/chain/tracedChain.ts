import type { Tracing } from "../observe/tracing.ts";
import type { ChainAccess } from "./chain.ts";

const asked = [
  "genesis",
  "block",
  "logs",
  "receipt",
  "call",
  "account",
  "pendingNonce",
  "fees",
  "send",
  "prove",
  "storage",
  "transactions",
] as const;
type Asked = (typeof asked)[number];

/** Tells of what a chain is asked while something that is traced is worked for; never of what for, nor of the answer. */
export function tracedChain(chain: ChainAccess, { around }: Pick<Tracing, "around">): ChainAccess {
  const attributes = { "lockstep.chain": chain.name };
  const traced = <M extends Asked>(method: M): ChainAccess[M] => {
    const ask = chain[method] as (...given: unknown[]) => Promise<unknown>;
    return ((...given: unknown[]) => around(`chain.${method}`, attributes, () => ask(...given))) as ChainAccess[M];
  };
  const methods = Object.fromEntries(asked.map((method) => [method, traced(method)])) as Pick<ChainAccess, Asked>;
  return { ...chain, ...methods };
}
