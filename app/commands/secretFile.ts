import { readKey } from "#core/config/accounts.ts";
import type { Hex } from "#core/kernel/codec.ts";

/** A swap's secret from a file, so that it is in no list of processes and no history. Throws `config-invalid`. */
export const secretOf = (file: string): Hex => readKey({ file }, "--secret-file").reveal();
