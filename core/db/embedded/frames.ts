/** The parts of PostgreSQL's wire protocol 3.0 that the embedded server handles itself. All lengths in bytes. */

const protocolVersion = 196_608;
const sslRequest = 80_877_103;
const gssRequest = 80_877_104;

/** Longest message a client may send; PostgreSQL's own bound is 1 GiB. */
const maxMessageBytes = 1 << 28;

export type Startup =
  | { readonly kind: "start"; readonly parameters: ReadonlyMap<string, string> }
  | { readonly kind: "encryption" }
  | { readonly kind: "unknown" };

/** Splits a byte stream into whole messages without copying a long one more than once. */
export type MessageReader = {
  push(chunk: Buffer): void;
  /** The next whole message, undefined until there is one. Throws when a length cannot be right. */
  next(form: "startup" | "message"): Buffer | undefined;
};

export function createMessageReader(): MessageReader {
  let chunks: Buffer[] = [];
  let size = 0;

  const head = (bytes: number): Buffer | undefined => {
    if (size < bytes) return undefined;
    if ((chunks[0]?.length ?? 0) < bytes) chunks = [Buffer.concat(chunks)];
    return chunks[0];
  };

  return {
    push(chunk) {
      chunks.push(chunk);
      size += chunk.length;
    },
    next(form) {
      const prefix = form === "startup" ? 0 : 1;
      const length = head(prefix + 4)?.readUInt32BE(prefix);
      if (length === undefined) return undefined;
      if (length < 4 || length > maxMessageBytes) throw new RangeError("not a message of PostgreSQL's protocol");
      const total = prefix + length;
      const bytes = head(total);
      if (!bytes) return undefined;
      chunks[0] = bytes.subarray(total);
      size -= total;
      return bytes.subarray(0, total);
    },
  };
}

export function parseStartup(message: Buffer): Startup {
  const code = message.length >= 8 ? message.readUInt32BE(4) : 0;
  if (code === sslRequest || code === gssRequest) return { kind: "encryption" };
  if (code !== protocolVersion) return { kind: "unknown" };
  const words = message.toString("utf8", 8).split("\0");
  const parameters = new Map<string, string>();
  for (let i = 0; i + 1 < words.length && words[i]; i += 2) parameters.set(words[i] ?? "", words[i + 1] ?? "");
  return { kind: "start", parameters };
}

/** A message with a type byte. */
function frame(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 0, "latin1");
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

/** A simple query. */
export const queryMessage = (sql: string): Buffer => frame("Q", Buffer.from(`${sql}\0`));

export const syncMessage: Buffer = frame("S", Buffer.alloc(0));

/** Start-up packet of a client that asks for nothing special. */
export function startupMessage(user: string, database: string): Buffer {
  const body = Buffer.from(`\0\0\0\0user\0${user}\0database\0${database}\0client_encoding\0UTF8\0\0`);
  body.writeUInt32BE(protocolVersion, 0);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length + 4, 0);
  return Buffer.concat([head, body]);
}

export const askForPassword: Buffer = frame("R", Buffer.from([0, 0, 0, 3]));

export const fatalMessage = (state: string, text: string): Buffer =>
  frame("E", Buffer.from(`SFATAL\0VFATAL\0C${state}\0M${text}\0\0`));

/** The notifications among whole messages from the server. */
export const notificationsIn = (output: Buffer): Buffer[] => messagesIn(output, "A");

/** What the server says of an error after which it is of no use any more; undefined where there is none. */
export function panicIn(output: Buffer): string | undefined {
  for (const message of messagesIn(output, "E")) {
    const fields = message.toString("utf8", 5).split("\0");
    if (fields.includes("VPANIC") || fields.includes("VFATAL")) {
      return fields.find((field) => field.startsWith("M"))?.slice(1) ?? "no reason given";
    }
  }
  return undefined;
}

function messagesIn(output: Buffer, type: string): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at + 5 <= output.length; ) {
    const end = at + 1 + output.readUInt32BE(at + 1);
    if (output[at] === type.charCodeAt(0)) found.push(output.subarray(at, end));
    at = end;
  }
  return found;
}
