import { z } from "zod";

const hasNoUser = (text: string): boolean => {
  if (!URL.canParse(text)) return true;
  const { username, password } = new URL(text);
  return username === "" && password === "";
};

export const httpUrl = z.url({
  protocol: /^https?$/,
  error: "expected a URL that begins with http:// or https://",
});

/** Of a program that is shown who asks in another way. */
export const plainHttpUrl = httpUrl.refine(hasNoUser, "expected no user name and no password in the URL");

export const socketUrl = z.url({ protocol: /^wss?$/, error: "expected a URL that begins with ws:// or wss://" });

export const postgresUrl = z.url({
  protocol: /^postgres(ql)?$/,
  error: "expected a URL that begins with postgres:// or postgresql://",
});
