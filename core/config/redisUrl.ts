import { isIPv6 } from "node:net";
import { type Redacted, redact } from "../kernel/redacted.ts";

type RedisNode = { readonly host: string; readonly port: number };

/** Files in PEM, for connections by TLS. */
export type RedisTls = { readonly ca?: string; readonly cert?: string; readonly key?: string };

export type Credentials = { readonly username?: string; readonly password?: Redacted<string> };

/** Where Redis is, as its URL says. */
export type RedisPlace = Credentials & {
  /** `sentinel`: the nodes are sentinels, which say where the primary is; `cluster`: some nodes, which know all others. */
  readonly kind: "single" | "sentinel" | "cluster";
  readonly nodes: readonly RedisNode[];
  /** What sentinels call the primary. */
  readonly name?: string;
  readonly db: number;
  /** What sentinels ask for; nothing unless it is given, whatever the primary asks for. */
  readonly sentinel: Credentials;
  /** Undefined without TLS. */
  readonly tls?: RedisTls;
};

const kinds = { "": "single", "+sentinel": "sentinel", "+cluster": "cluster" } as const;
const defaultPort = { single: 6379, sentinel: 26379, cluster: 6379 } as const;
const tlsFiles = ["ca", "cert", "key"] as const;
const pattern = /^(rediss?)(\+sentinel|\+cluster)?:\/\/(?:([^@/?#]*)@)?([^@/?#]*)(\/[^?#]*)?(?:\?([^#]*))?$/;

/**
 * Reads `redis://`, `redis+sentinel://` or `redis+cluster://` (with `rediss` by TLS):
 *
 *     redis://[user:password@]host[:port][/db]
 *     redis+sentinel://[user:password@]host[:port],host[:port]/name[/db][?sentinelUsername=…&sentinelPassword=…]
 *     redis+cluster://[user:password@]host[:port],host[:port]
 *
 * Throws a RangeError that says what does not fit, and never what is there, which may be a password.
 */
export function parseRedisUrl(text: string): RedisPlace {
  const [, scheme, suffix = "", userinfo, hosts = "", path = "", query = ""] = pattern.exec(text) ?? [];
  if (scheme === undefined) {
    throw new RangeError("expected redis://, redis+sentinel:// or redis+cluster://, or the same with rediss");
  }
  const kind = kinds[suffix as keyof typeof kinds];
  const nodes = hosts.split(",").map((host) => nodeOf(host, defaultPort[kind]));
  if (kind === "single" && nodes.length > 1) {
    throw new RangeError("several hosts are for redis+sentinel:// and redis+cluster://");
  }
  const options = optionsOf(query, kind, scheme === "rediss");
  return {
    ...{ kind, nodes, ...credentialsOf(userinfo), ...placeOf(path, kind) },
    sentinel: secretly(options.sentinelUsername, options.sentinelPassword),
    ...(scheme === "rediss" && {
      tls: Object.fromEntries(tlsFiles.flatMap((name) => (options[name] ? [[name, options[name]]] : []))),
    }),
  };
}

function nodeOf(text: string, otherwise: number): RedisNode {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || (bracketed !== undefined && !isIPv6(bracketed))) {
    throw new RangeError("expected host or host:port, several joined by commas");
  }
  const number = port === undefined ? otherwise : Number(port);
  if (number < 1 || number > 65_535) throw new RangeError("expected ports from 1 to 65535");
  return { host, port: number };
}

function credentialsOf(userinfo: string | undefined): Credentials {
  if (userinfo === undefined) return {};
  const at = userinfo.indexOf(":");
  return at < 0
    ? secretly(decode(userinfo), undefined)
    : secretly(decode(userinfo.slice(0, at)), decode(userinfo.slice(at + 1)));
}

const secretly = (username: string | undefined, password: string | undefined): Credentials => ({
  ...(username && { username }),
  ...(password && { password: redact(password) }),
});

function placeOf(path: string, kind: RedisPlace["kind"]): { name?: string; db: number } {
  const parts = path
    .split("/")
    .slice(1)
    .map((part) => decode(part));
  if (parts.at(-1) === "") parts.pop();
  const name = kind === "sentinel" ? parts.shift() : undefined;
  if (kind === "sentinel" && !name) throw new RangeError("expected what sentinels call the primary: …/name");
  const [db = "0", ...rest] = parts;
  if (rest.length > 0 || !/^\d{1,4}$/.test(db)) throw new RangeError("expected the number of a database last: …/0");
  if (kind === "cluster" && Number(db) !== 0) throw new RangeError("a cluster has no other database than 0");
  return { ...(name && { name }), db: Number(db) };
}

type Options = Partial<Record<(typeof tlsFiles)[number] | "sentinelUsername" | "sentinelPassword", string>>;

function optionsOf(query: string, kind: RedisPlace["kind"], isTls: boolean): Options {
  const options: Options = {};
  for (const part of query === "" ? [] : query.split("&")) {
    const at = part.indexOf("=");
    const name = decode(at < 0 ? part : part.slice(0, at));
    const isFile = tlsFiles.some((file) => file === name);
    const isSentinel = name === "sentinelUsername" || name === "sentinelPassword";
    if (!isFile && !isSentinel) {
      throw new RangeError("options are ca, cert, key, sentinelUsername and sentinelPassword alone");
    }
    if (isFile && !isTls) throw new RangeError("ca, cert and key are for rediss");
    if (isSentinel && kind !== "sentinel")
      throw new RangeError("sentinelUsername and sentinelPassword are for redis+sentinel");
    const value = decode(at < 0 ? "" : part.slice(at + 1));
    if (value === "" || name in options) throw new RangeError("expected each option once, with a value");
    options[name as keyof Options] = value;
  }
  if ((options.cert === undefined) !== (options.key === undefined)) throw new RangeError("cert and key go together");
  return options;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new RangeError("expected % to be followed by two hexadecimal digits");
  }
}
