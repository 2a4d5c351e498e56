import { type PeerCertificate, TLSSocket } from "node:tls";
import type { CertificateRule } from "../../config/http.ts";
import type { Clock } from "../../kernel/clock.ts";
import { LockstepError } from "../../kernel/errors.ts";
import type { Caller } from "../access.ts";
import type { Authenticator } from "../guard.ts";
import { unauthorized } from "./bearer.ts";

type Presented = { readonly certificate: PeerCertificate; readonly validTo: number };

/**
 * Client certificates that the configured authority has signed, by their subject. Asked last: a request may bring
 * another credential over a connection with a certificate. Throws `unauthorized` for one that is not right, `forbidden`
 * where no rule fits.
 */
export function certificateAuthenticator(deps: {
  rules: () => readonly CertificateRule[];
  clock: Clock;
}): Authenticator {
  const { rules, clock } = deps;
  const seen = new WeakMap<TLSSocket, Presented>();

  return ({ raw: { socket }, headers: { authorization } }) => {
    // Who brings a credential wants to be known by that one, and nobody knew it.
    if (authorization !== undefined) return undefined;
    if (!(socket instanceof TLSSocket)) return undefined;
    const presented = seen.get(socket) ?? read(socket);
    if (!presented) return undefined;
    if (!socket.authorized) throw unauthorized("the client certificate is not by the configured authority");
    seen.set(socket, presented);
    // A connection can outlive its certificate.
    if (clock.now() > presented.validTo) throw unauthorized("the client certificate has expired");
    return { ...callerOf(presented.certificate, rules()), until: presented.validTo };
  };
}

function read(socket: TLSSocket): Presented | undefined {
  const certificate = socket.getPeerCertificate();
  if (Object.keys(certificate).length === 0) return undefined;
  return { certificate, validTo: Date.parse(certificate.valid_to) };
}

function callerOf({ subject }: PeerCertificate, rules: readonly CertificateRule[]): Caller {
  const given = subject as unknown as Readonly<Record<string, unknown>>;
  // An attribute that is there twice is an array, which equals no text.
  const rule = rules.find(({ subject: wanted }) =>
    Object.entries(wanted).every(([name, value]) => Object.hasOwn(given, name) && given[name] === value),
  );
  if (!rule) throw new LockstepError("forbidden", "the client certificate's subject gives no role");
  const { CN, ...others } = rule.subject;
  // All that tells one rule's holders from another's, so that they never share keys, limits or a name in the audit.
  const rest = Object.keys(others)
    .sort()
    .map((name) => `,${name}=${others[name]}`);
  return {
    id: `certificate:${CN}${rest.join("")}`,
    role: rule.role,
    ...(rule.accounts && { accounts: rule.accounts }),
  };
}
