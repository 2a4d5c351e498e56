import { readFileSync } from "node:fs";
import { createLocalJWKSet, createRemoteJWKSet, customFetch, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import type { JwtConfig } from "../../config/http.ts";
import type { Clock } from "../../kernel/clock.ts";
import { LockstepError } from "../../kernel/errors.ts";
import { readAtMost } from "../readAtMost.ts";

const timeoutMs = 3_000;
const mostBytes = 256 * 1024;
const mostKeys = 100;
/** How long a set of keys is good; a key that it does not have is looked for again earlier, but not more often than so. */
const cacheMs = 10 * 60_000;
const cooldownMs = 30_000;
/** After a failure nobody is asked again at once: every request would wait for the time-out. */
const pauseMs = 2_000;

/**
 * The keys that an issuer signs with, from a file that is read once or from an URL. Of the URL: fetched when needed, one
 * at a time, bounded in time and size, without redirects. What it throws is `identity-provider-unreachable` where the keys
 * cannot be had, and an error of jose where they do not have the one that a token names. Throws `config-invalid` for a
 * file without keys.
 */
export function createJwks(source: JwtConfig["jwks"], clock: Clock): JWTVerifyGetKey {
  if ("file" in source) return readFile(source.file);
  const fetchKeys = createFetch(clock);
  return createRemoteJWKSet(new URL(source.url), {
    ...{ timeoutDuration: timeoutMs, cooldownDuration: cooldownMs, cacheMaxAge: cacheMs },
    [customFetch]: fetchKeys,
  });
}

function readFile(file: string): JWTVerifyGetKey {
  try {
    return createLocalJWKSet(parseKeys(readFileSync(file, "utf8")));
  } catch (cause) {
    throw new LockstepError("config-invalid", `http.access.jwt.jwks.file: ${file} holds no JSON Web Key Set`, {
      details: { field: "http.access.jwt.jwks.file" },
      cause,
    });
  }
}

function createFetch(clock: Clock): (url: string, init: RequestInit) => Promise<Response> {
  let pausedUntil = 0;
  return async (url, init) => {
    if (clock.now() < pausedUntil) throw unreachable();
    try {
      const answer = await fetch(url, init);
      if (answer.status !== 200) throw new Error(`it answered ${answer.status}`);
      const text = await readAtMost(answer, mostBytes);
      if (text === undefined) throw new Error("its answer is too long");
      return new Response(JSON.stringify(parseKeys(text)));
    } catch (error) {
      pausedUntil = clock.now() + pauseMs;
      throw unreachable(error);
    }
  };
}

/** Throws when it is no set of keys that jose takes. */
function parseKeys(text: string): JSONWebKeySet {
  const set = JSON.parse(text) as JSONWebKeySet;
  createLocalJWKSet(set);
  if (set.keys.length > mostKeys) throw new Error(`it has ${set.keys.length} keys`);
  return set;
}

const unreachable = (cause?: unknown) =>
  new LockstepError(
    "identity-provider-unreachable",
    "the keys that access tokens are checked by cannot be fetched at present",
    { cause },
  );
