import { concatHex, numberToHex, size, slice } from "viem";
import { checksummed, type Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";

/** Version 1, chain type EIP-155. */
const head = "0x00010000";

export type InteroperableAddress = { readonly chainId: number; readonly address: Hex };

/** An account on an EVM chain as an ERC-7930 interoperable address (binary form, version 1). */
export function encodeInteroperable({ chainId, address }: InteroperableAddress): Hex {
  const digits = chainId.toString(16);
  const reference: Hex = `0x${digits.length % 2 === 0 ? digits : `0${digits}`}`;
  return concatHex([head, numberToHex(size(reference), { size: 1 }), reference, "0x14", address]);
}

/**
 * The account that an ERC-7930 interoperable address of an EVM chain names. As strict as the gateway is about what it
 * accepts: one account has one spelling, without trailing bytes or zeros before the chain id. Throws `request-invalid`.
 */
export function decodeInteroperable(encoded: Hex): InteroperableAddress {
  const match = /^0x00010000(?<length>[0-9a-f]{2})(?<rest>(?:[0-9a-f]{2})*)$/i.exec(encoded);
  const length = Number.parseInt(match?.groups?.length ?? "", 16);
  const rest: Hex = `0x${match?.groups?.rest ?? ""}`;
  const chainId = length > 0 && size(rest) === length + 21 ? Number(BigInt(slice(rest, 0, length))) : Number.NaN;
  const account = Number.isSafeInteger(chainId) && { chainId, address: checksummed(slice(rest, length + 1)) };
  if (!account || encodeInteroperable(account).toLowerCase() !== encoded.toLowerCase()) {
    throw new LockstepError("request-invalid", "expected an ERC-7930 address of an account on an EVM chain");
  }
  return account;
}
