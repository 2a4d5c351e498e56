import { z } from "zod";

/** Names of chains, accounts and the like, in the configuration and over the API. */
export const name = z.string().regex(/^[a-z][a-z0-9-]{0,30}$/, "expected lower case letters, digits and dashes");
