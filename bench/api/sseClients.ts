import { once } from "node:events";
import { connect } from "node:net";

/** A process of its own that holds streams open and looks at each event of each by its id. */
export type ClientsPlan = { readonly port: number; readonly clients: number; readonly secret: string };
export type ClientsWait = { readonly events: number; readonly forMs: number };
/** `missed`: lost, repeated or out of order, of all clients together. */
export type ClientsResult = { readonly missed: number; readonly ended: number };

/** Connections that are opened at a time. */
const atOnce = 50;

type Client = { seen: number; last: number; disordered: number };

const clients: Client[] = [];
let ended = 0;

/** Resolves with the stream's head; a parser by hand, since one process reads what many would. */
function open({ port, secret }: ClientsPlan): Promise<void> {
  const client: Client = { seen: 0, last: 0, disordered: 0 };
  clients.push(client);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let rest = "";
  const socket = connect(port, "127.0.0.1", () =>
    socket.write(`GET /v1/events HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nauthorization: Bearer ${secret}\r\n\r\n`),
  );
  let headed = false;
  socket.setEncoding("latin1");
  socket.on("data", (chunk) => {
    const text = rest + chunk;
    let from = 0;
    if (!headed) {
      const end = text.indexOf("\r\n\r\n");
      if (end >= 0 && !text.startsWith("HTTP/1.1 200")) reject(new Error(text.slice(0, 500)));
      headed = end >= 0;
      if (headed) resolve();
      from = headed ? end + 4 : 0;
    }
    for (let to = text.indexOf("\n\n", from); headed && to >= 0; to = text.indexOf("\n\n", from)) {
      // What does not begin with an id is a sign of life, or the end.
      if (text.startsWith("id: ", from)) take(client, Number(text.slice(from + 4, text.indexOf("\n", from))));
      else if (!text.startsWith(": alive", from)) ended += 1;
      from = to + 2;
    }
    rest = text.slice(from);
  });
  socket.on("error", reject);
  socket.on("close", () => reject(new Error("closed")));
  return promise;
}

function take(client: Client, id: number): void {
  if (id > client.last) client.seen += 1;
  else client.disordered += 1;
  client.last = id;
}

const [plan] = (await once(process, "message")) as [ClientsPlan];
while (clients.length < plan.clients) {
  const count = Math.min(atOnce, plan.clients - clients.length);
  await Promise.all(Array.from({ length: count }, () => open(plan)));
}
process.send?.("open");
const [{ events, forMs }] = (await once(process, "message")) as [ClientsWait];
const deadline = performance.now() + forMs;
while (clients.some(({ seen }) => seen < events) && performance.now() < deadline) {
  await new Promise((resolve) => setTimeout(resolve, 50));
}
const missed = clients.reduce((sum, { seen, disordered }) => sum + Math.abs(events - seen) + disordered, 0);
process.send?.({ missed, ended } satisfies ClientsResult);
