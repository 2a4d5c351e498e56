import { createServer as createHttpServer, type IncomingMessage, type RequestListener } from "node:http";
import { createServer as createHttpsServer, type ServerOptions } from "node:https";
import type { AddressInfo } from "node:net";
import { privateKeyToAccount } from "viem/accounts";
import type { Hex } from "#core/kernel/codec.ts";

export type SignerRequest = { id: number; method: string; params: readonly unknown[] };

/** What the server does with a request: as it should, something else, nothing, or an end of the connection. */
export type SignerFault = (request: SignerRequest, honest: () => Promise<unknown>) => Promise<unknown> | "hang" | "die";

export type SignerServer = {
  readonly url: string;
  readonly requests: { readonly request: SignerRequest; readonly authorization: string | undefined }[];
  /** Honest again without one. */
  use(fault?: SignerFault): void;
  /** Nothing listens any more. */
  down(): Promise<void>;
  /** It listens again where it did. */
  up(): Promise<void>;
  close(): Promise<void>;
};

/** A signer as Web3Signer and Clef are, with the keys that it is given. */
export async function startSignerServer(keys: readonly Hex[], tls?: ServerOptions): Promise<SignerServer> {
  const accounts = keys.map((key) => privateKeyToAccount(key));
  const requests: SignerServer["requests"] = [];
  let fault: SignerFault | undefined;

  const accountOf = (address: unknown) => {
    const found = accounts.find((each) => each.address === address);
    if (!found) throw new Error("unknown account");
    return found;
  };
  async function honest({ method, params }: SignerRequest): Promise<unknown> {
    if (method === "eth_accounts") return accounts.map(({ address }) => address);
    if (method === "eth_signTypedData") return accountOf(params[0]).signTypedData(JSON.parse(String(params[1])));
    const { from, gas, nonce, chainId, value, type: _, ...rest } = params[0] as Record<string, Hex>;
    return accountOf(from).signTransaction({
      ...{ type: "eip1559", to: rest.to ?? null, data: rest.data ?? "0x" },
      ...{ gas: BigInt(gas ?? 0), nonce: Number(nonce), chainId: Number(chainId), value: BigInt(value ?? 0) },
      maxFeePerGas: BigInt(rest.maxFeePerGas ?? 0),
      maxPriorityFeePerGas: BigInt(rest.maxPriorityFeePerGas ?? 0),
    });
  }
  const listener: RequestListener = async (message, response) => {
    const request = JSON.parse(await bodyOf(message)) as SignerRequest;
    requests.push({ request, authorization: message.headers.authorization });
    const answer = await (async () => (fault ? await fault(request, () => honest(request)) : honest(request)))().catch(
      (error: Error) => error,
    );
    if (answer === "hang") return;
    if (answer === "die") return void response.destroy();
    const said = answer instanceof Error ? { error: { code: -32_000, message: answer.message } } : { result: answer };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ jsonrpc: "2.0", id: request.id, ...said }));
  };
  const server = tls ? createHttpsServer(tls, listener) : createHttpServer(listener);
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const down = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return {
    url: `${tls ? "https" : "http"}://127.0.0.1:${port}`,
    requests,
    use(next) {
      fault = next;
    },
    down,
    up: () => listen(port),
    close: down,
  };
}

async function bodyOf(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
