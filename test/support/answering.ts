import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Answering = {
  readonly url: string;
  /** How many requests came. */
  readonly requests: number;
  answer: (response: ServerResponse) => unknown;
  close(): Promise<void>;
};

/** An HTTP server that answers every request as a test says. */
export async function startAnswering(): Promise<Answering> {
  let requests = 0;
  const server = createServer((_request, response) => {
    requests++;
    own.answer(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const own: Answering = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    get requests() {
      return requests;
    },
    answer: (response) => response.end(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return own;
}
