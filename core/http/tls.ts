import { readFileSync } from "node:fs";
import type { Server } from "node:https";
import { createSecureContext } from "node:tls";
import type { TlsConfig } from "../config/http.ts";
import { LockstepError } from "../kernel/errors.ts";

/** What `node:https` is given. */
export type TlsOptions = {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer;
  readonly minVersion: "TLSv1.2";
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
};

/**
 * Reads certificate and key. A client without a certificate may connect unless the configuration says otherwise; what its
 * certificate is worth is for the authenticator to say. Throws `config-invalid` where a file is missing or does not fit.
 */
export function readTls({ certFile, keyFile, clientCaFile, requireClientCertificate }: TlsConfig): TlsOptions {
  const cert = readPem(certFile, "certFile");
  const key = readPem(keyFile, "keyFile");
  const ca = clientCaFile === undefined ? undefined : readPem(clientCaFile, "clientCaFile");
  const options: TlsOptions = {
    ...{ cert, key, minVersion: "TLSv1.2", ...(ca && { ca }) },
    ...{ requestCert: ca !== undefined, rejectUnauthorized: requireClientCertificate },
  };
  try {
    createSecureContext(options);
  } catch (cause) {
    throw invalid("certFile", "certificate, key and authority do not fit, or are not PEM", cause);
  }
  return options;
}

/**
 * Reads what the files hold now, and answers how later connections get it. Whether clients are asked for a certificate, and
 * refused without, stays as the server was made. Throws as `readTls`.
 */
export function renewTls(server: Pick<Server, "setSecureContext">, config: TlsConfig): () => void {
  const options = readTls(config);
  return () => server.setSecureContext(options);
}

function readPem(file: string, field: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw invalid(field, `${file} cannot be read`, cause);
  }
}

const invalid = (field: string, why: string, cause: unknown) =>
  new LockstepError("config-invalid", `http.tls.${field}: ${why}`, { details: { field: `http.tls.${field}` }, cause });
