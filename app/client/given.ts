/**
 * What a caller gives where JSON will have text: amounts, which are decimal strings on the wire, may be bigints.
 * Everything else is as the route's schema has it on the wire.
 */
export type Given<T> = T extends `${bigint}`
  ? bigint | string
  : T extends readonly (infer Each)[]
    ? readonly Given<Each>[]
    : T extends object
      ? { readonly [Key in keyof T]: Given<T[Key]> }
      : T;
