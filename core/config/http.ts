import { z } from "zod";
import { accessRoles } from "../kernel/accessRoles.ts";
import { eventsConfigSchema, webhooksConfigSchema } from "./events.ts";
import { limitsSchema, rateLimitSchema, trustProxySchema } from "./limits.ts";

const role = z.enum(accessRoles);
const loopback = new Set(["127.0.0.1", "::1"]);

/** Only those with a public key: with a shared one, whoever can check a token can make one. */
const algorithms = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
] as const;

const jwksUrl = z
  .url({ protocol: /^https?$/ })
  .refine(
    (text) => text.startsWith("https:") || ["127.0.0.1", "[::1]", "localhost"].includes(new URL(text).hostname),
    "expected https; plain http only on loopback",
  );

const jwtSchema = z.strictObject({
  /** What `iss` has to be, to the letter. */
  issuer: z.string().min(1),
  /** What `aud` has to be or to contain. */
  audience: z.string().min(1),
  jwks: z.union([z.strictObject({ url: jwksUrl }), z.strictObject({ file: z.string().min(1) })]),
  algorithms: z.array(z.enum(algorithms)).min(1).default(["RS256", "ES256", "EdDSA"]),
  /** Seconds by which the clocks of issuer and service may differ. */
  clockToleranceSeconds: z.number().int().min(0).max(60).default(5),
  /** The claim that holds the role, or several; a path where it is nested. */
  roleClaim: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).default("role"),
  /** Which role each value of the claim gives; the highest counts. */
  roles: z
    .record(z.string().min(1), role)
    .default({ viewer: "viewer", trader: "trader", operator: "operator", admin: "admin" }),
  /** The claim that lists the managed accounts that the caller may act for. */
  accountsClaim: z.string().min(1).default("accounts"),
  /** Whether a token without that claim may act for none of them, rather than for all. */
  requireAccounts: z.boolean().default(false),
});
export type JwtConfig = z.output<typeof jwtSchema>;

const certificateSchema = z.strictObject({
  /** Attributes of the certificate's subject, e.g. `{ "CN": "desk-1", "O": "Example" }`; all of them have to be equal. */
  subject: z
    .record(z.string().min(1), z.string().min(1))
    .refine((subject) => Object.hasOwn(subject, "CN"), "expected at least a CN"),
  role,
  accounts: z.array(z.string()).optional(),
});
export type CertificateRule = z.output<typeof certificateSchema>;

const accessSchema = z.strictObject({
  jwt: jwtSchema.optional(),
  /** Seconds by which the time of an HMAC-signed request may be off, either way; so long its nonce is remembered. */
  signatureWindowSeconds: z.number().int().min(5).max(300).default(60),
  /** Whose client certificates count as credentials; needs `http.tls.clientCaFile`. The first that fits counts. */
  certificates: z.array(certificateSchema).default([]),
});

const tlsSchema = z.strictObject({
  /** PEM: the certificate and those between it and the root. */
  certFile: z.string().min(1),
  keyFile: z.string().min(1),
  /** PEM: who signs the certificates of clients, which are asked for one then. */
  clientCaFile: z.string().min(1).optional(),
  /** Refuses connections without a certificate by that authority, whatever they ask for. */
  requireClientCertificate: z.boolean().default(false),
});
export type TlsConfig = z.output<typeof tlsSchema>;

const origin = z
  .string()
  .refine(
    (text) => URL.parse(text)?.origin === text && /^https?:/.test(text),
    "expected an origin: https://name[:port]",
  );

/** Where the API listens, and who may use it. */
export const httpConfigSchema = z
  .strictObject({
    host: z.union([z.ipv4(), z.ipv6()], "expected an IP address").default("127.0.0.1"),
    port: z.number().int().min(0).max(65_535),
    /** How callers prove who they are. Without it the service is for those on this machine alone. */
    access: accessSchema.optional(),
    tls: tlsSchema.optional(),
    /** Origins whose web pages may use the API; none where this is left out. */
    cors: z.strictObject({ origins: z.array(origin).min(1) }).optional(),
    trustProxy: trustProxySchema,
    rateLimit: rateLimitSchema,
    limits: limitsSchema,
    /** Streams of events. */
    events: eventsConfigSchema.prefault({}),
    /** Events that are sent to others. */
    webhooks: webhooksConfigSchema.prefault({}),
  })
  .refine(({ host, access }) => access !== undefined || loopback.has(host), {
    path: ["host"],
    message: "without authentication (http.access) the service listens on loopback only",
  })
  .refine(({ tls, access }) => access !== undefined || tls === undefined, {
    path: ["tls"],
    message: "needs http.access: without authentication the service is for this machine alone",
  })
  .refine(({ cors, access }) => access !== undefined || cors === undefined, {
    path: ["cors"],
    message: "needs http.access: without authentication no other page may use the API",
  })
  .refine(({ tls, access }) => !access?.certificates.length || tls?.clientCaFile !== undefined, {
    path: ["access", "certificates"],
    message: "needs http.tls.clientCaFile",
  })
  .refine(({ tls }) => !tls?.requireClientCertificate || tls.clientCaFile !== undefined, {
    path: ["tls", "requireClientCertificate"],
    message: "needs http.tls.clientCaFile",
  });

/** True for an address that only this machine reaches. */
export const isLoopback = (host: string): boolean => loopback.has(host);
