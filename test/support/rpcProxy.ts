import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { numberToHex } from "viem";

export type RpcRequest = { readonly id: unknown; readonly method: string; readonly params: readonly unknown[] };
export type RpcAnswer = { readonly result: unknown } | { readonly error: { code: number; message: string } };

/**
 * What becomes of one request: an answer, `hang` (never answered), `die` (the connection breaks). `forward` asks the
 * real chain, with the same request unless another one is given.
 */
export type RpcRule = (
  request: RpcRequest,
  forward: (request?: Partial<RpcRequest>) => Promise<RpcAnswer>,
) => Promise<RpcAnswer | "hang" | "die"> | undefined;

export type RpcProxy = {
  readonly url: string;
  /** Every request that came in, in order. */
  readonly seen: RpcRequest[];
  /** Rules decide in order; the first that does not pass (`undefined`) has its way. Replaces those before. */
  use(...rules: RpcRule[]): void;
  close(): Promise<void>;
};

/** A JSON-RPC endpoint in front of a chain that misbehaves as told. */
export async function startRpcProxy(target: string, ...initial: RpcRule[]): Promise<RpcProxy> {
  let rules = initial;
  const seen: RpcRequest[] = [];

  async function answer(request: RpcRequest): Promise<RpcAnswer | "hang" | "die"> {
    seen.push(request);
    const forward = (other: Partial<RpcRequest> = {}) => ask(target, { ...request, ...other });
    for (const rule of rules) {
      const decided = rule(request, forward);
      if (decided !== undefined) return decided;
    }
    return forward();
  }

  const server = createServer(async (incoming, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const request = JSON.parse(Buffer.concat(chunks).toString()) as RpcRequest;
    await respond(response, request, await answer(request));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    use: (...next) => {
      rules = next;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function respond(response: ServerResponse, request: RpcRequest, answer: RpcAnswer | "hang" | "die") {
  if (answer === "hang") return;
  if (answer === "die") {
    response.destroy();
    return;
  }
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ jsonrpc: "2.0", id: request.id, ...answer }));
}

async function ask(target: string, request: RpcRequest): Promise<RpcAnswer> {
  const response = await fetch(target, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", ...request }),
  });
  const { error, result } = (await response.json()) as { error?: { code: number; message: string }; result: unknown };
  return error === undefined ? { result } : { error };
}

/** Answers every request for a method with this result. */
export const answering =
  (method: string, result: unknown): RpcRule =>
  (request) =>
    request.method === method ? Promise.resolve({ result }) : undefined;

/** Lets requests for a method (or all) end in silence or a broken connection. */
export const failing =
  (how: "hang" | "die", method?: string): RpcRule =>
  (request) =>
    method === undefined || request.method === method ? Promise.resolve(how) : undefined;

/** `safe` and `finalized` are the latest block minus `lag`; nothing while the chain is shorter. */
export const finalityLag =
  (lag: number): RpcRule =>
  (request, forward) => {
    const tag = request.params[0];
    if (request.method !== "eth_getBlockByNumber" || (tag !== "safe" && tag !== "finalized")) return undefined;
    return (async () => {
      const latest = await forward({ method: "eth_blockNumber", params: [] });
      if ("error" in latest) return latest;
      const height = Number(latest.result) - lag;
      return height < 0 ? { result: null } : forward({ params: [numberToHex(height), request.params[1]] });
    })();
  };

/**
 * Transactions that are lost on the way: `drop` says which. Half of the lost ones are answered as if they had been
 * taken (`silent`), the others break the connection.
 */
export const losingTransactions =
  (drop: (raw: string) => "silent" | "loud" | undefined, hashOf: (raw: string) => string): RpcRule =>
  (request) => {
    if (request.method !== "eth_sendRawTransaction") return undefined;
    const raw = String(request.params[0]);
    const how = drop(raw);
    if (how === undefined) return undefined;
    return Promise.resolve(how === "silent" ? { result: hashOf(raw) } : "die");
  };
