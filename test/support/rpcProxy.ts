import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import type { Duplex } from "node:stream";
import { numberToHex } from "viem";

export type RpcRequest = { readonly id: unknown; readonly method: string; readonly params: readonly unknown[] };
export type RpcAnswer = { readonly result: unknown } | { readonly error: { code: number; message: string } };

/**
 * What becomes of one request: an answer, `hang` (never answered), `die` (the connection breaks). `forward` asks the
 * rules that follow and then the real chain, with the same request unless another one is given. Where several requests
 * come in one HTTP request, one that hangs or dies takes the others with it.
 */
export type RpcRule = (
  request: RpcRequest,
  forward: (request?: Partial<RpcRequest>) => Promise<RpcAnswer>,
) => Promise<RpcAnswer | "hang" | "die"> | undefined;

export type RpcProxy = {
  readonly url: string;
  readonly webSocket: string;
  /** Every request that came in over HTTP, in order. */
  readonly seen: RpcRequest[];
  /** HTTP requests that came in, and how many of them were under way at once at most. */
  readonly load: { posts: number; most: number };
  /** Rules decide in order; the first that does not pass (`undefined`) has its way. Replaces those before. */
  use(...rules: RpcRule[]): void;
  /**
   * WebSockets are passed on (`open`, as at first), broken and `refused`, `mute` (there, but nothing comes back), or
   * `forgetful` (answering, but without the notifications of subscriptions).
   */
  sockets(how: "open" | "refused" | "mute" | "forgetful"): void;
  close(): Promise<void>;
};

class Broken extends Error {}

/** A JSON-RPC endpoint in front of a chain that misbehaves as told. */
export async function startRpcProxy(target: string, ...initial: RpcRule[]): Promise<RpcProxy> {
  let rules = initial;
  const seen: RpcRequest[] = [];
  const load = { posts: 0, most: 0 };
  let under = 0;

  async function answer(request: RpcRequest, left: readonly RpcRule[]): Promise<RpcAnswer> {
    const [rule, ...rest] = left;
    if (rule === undefined) return ask(target, request);
    const forward = (other: Partial<RpcRequest> = {}) => answer({ ...request, ...other }, rest);
    const decided = await (rule(request, forward) ?? forward());
    if (decided === "die") throw new Broken();
    return decided === "hang" ? new Promise<never>(() => undefined) : decided;
  }

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    load.posts += 1;
    under += 1;
    load.most = Math.max(load.most, under);
    response.on("close", () => {
      under -= 1;
    });
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = JSON.parse(Buffer.concat(chunks).toString()) as RpcRequest | RpcRequest[];
    const requests = Array.isArray(body) ? body : [body];
    seen.push(...requests);
    const present = rules;
    try {
      const answers = await Promise.all(
        requests.map(async (one) => ({ jsonrpc: "2.0", id: one.id, ...(await answer(one, present)) })),
      );
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(Array.isArray(body) ? answers : answers[0]));
    } catch {
      response.destroy();
    }
  }

  const server = createServer((incoming, response) => void serve(incoming, response));
  const tunnel = tunnelSockets(server, target);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    webSocket: `ws://127.0.0.1:${port}`,
    seen,
    load,
    use: (...next) => {
      rules = next;
    },
    sockets: tunnel.set,
    close: () =>
      new Promise((resolve) => {
        tunnel.set("refused");
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Passes WebSockets on byte by byte. */
function tunnelSockets(server: Server, target: string) {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Duplex>();
  let how: "open" | "refused" | "mute" | "forgetful" = "open";
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (how === "refused") {
      socket.destroy();
      return;
    }
    const upstream = connect(Number(port), hostname);
    const lines = [`GET / HTTP/1.1`];
    for (let i = 0; i < request.rawHeaders.length; i += 2) {
      lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
    }
    upstream.write(`${lines.join("\r\n")}\r\n\r\n`);
    upstream.write(head);
    socket.pipe(upstream);
    upstream.on("data", (data: Buffer) => {
      const isNews = data.includes("eth_subscription");
      if (how === "open" || (how === "forgetful" && !isNews)) socket.write(data);
    });
    const drop = () => {
      sockets.delete(socket);
      socket.destroy();
      upstream.destroy();
    };
    for (const end of [socket, upstream]) end.on("close", drop).on("error", drop);
    sockets.add(socket);
  });
  return {
    set(next: typeof how) {
      how = next;
      if (next === "refused") for (const socket of sockets) socket.destroy();
    },
  };
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
