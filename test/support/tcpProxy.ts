import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A way to a server over TCP that can be cut. */
export type TcpProxy = {
  readonly port: number;
  /** Connections that were accepted, in all. */
  readonly accepted: number;
  /** Resets every connection; new ones are passed on as before. */
  cut(): void;
  /** Resets every connection, and every new one until `admit`. */
  refuse(): void;
  admit(): void;
  close(): Promise<void>;
};

export async function startTcpProxy(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let refusing = false;
  let accepted = 0;
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    if (refusing) {
      socket.resetAndDestroy();
      return;
    }
    accepted += 1;
    const upstream = connect(target);
    const drop = () => {
      sockets.delete(socket);
      socket.destroy();
      upstream.destroy();
    };
    for (const end of [socket, upstream]) end.on("close", drop).on("error", drop);
    socket.pipe(upstream).pipe(socket);
    sockets.add(socket);
  });
  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get accepted() {
      return accepted;
    },
    cut,
    refuse() {
      refusing = true;
      cut();
    },
    admit() {
      refusing = false;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        cut();
      }),
  };
}
