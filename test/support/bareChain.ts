import { type JsonServer, startJsonServer } from "./jsonServer.ts";

/** Answers what a service asks of a chain at its start, and no more. */
export async function startBareChain(chainId: number): Promise<JsonServer> {
  const server = await startJsonServer();
  const hash = `0x${String(chainId).padStart(64, "0")}`;
  const block = { number: "0x0", hash, parentHash: `0x${"0".repeat(64)}`, timestamp: "0x1" };
  const answer = ({ id, method }: { id: number; method: string }) => {
    const result =
      method === "eth_chainId" ? `0x${chainId.toString(16)}` : method.includes("Block") ? block : undefined;
    return { jsonrpc: "2.0", id, ...(result ? { result } : { error: { code: -32601, message: "not here" } }) };
  };
  server.respond = (body) => ({ json: Array.isArray(body) ? body.map(answer) : answer(body as never) });
  return server;
}
