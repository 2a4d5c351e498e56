import { encryptKeystoreJson } from "ethers";
import type { Hex } from "viem";
import { privateKeyToAddress } from "viem/accounts";

/** A keystore of little cost: a test need not be slow to be sure. */
export const encrypt = (key: Hex, password: string): Promise<string> =>
  encryptKeystoreJson({ address: privateKeyToAddress(key), privateKey: key }, Buffer.from(password), {
    scrypt: { N: 2 },
  });
