import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

type Response =
  | { json: unknown }
  | { status?: number; text: string; headers?: Record<string, string> }
  | "hang"
  | "die";

export type JsonServer = {
  readonly url: string;
  /** Bodies that came, in order. */
  readonly bodies: unknown[];
  /** The same as they came, and the headers with them. */
  readonly raw: string[];
  readonly headers: IncomingHttpHeaders[];
  respond: (body: unknown) => Response | Promise<Response>;
  close(): Promise<void>;
};

/** An HTTP server that answers what a test says. */
export async function startJsonServer(): Promise<JsonServer> {
  const bodies: unknown[] = [];
  const raw: string[] = [];
  const headers: IncomingHttpHeaders[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const body: unknown = JSON.parse(text);
    bodies.push(body);
    raw.push(text);
    headers.push(request.headers);
    const answer = await own.respond(body);
    if (answer === "hang") return;
    if (answer === "die") {
      response.destroy();
      return;
    }
    if ("text" in answer) response.writeHead(answer.status ?? 200, answer.headers).end(answer.text);
    else response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer.json));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const own: JsonServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...{ bodies, raw, headers },
    respond: () => "hang",
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return own;
}
