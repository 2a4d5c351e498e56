import type { FastifySchemaCompiler } from "fastify";
import { z } from "zod";
import { LockstepError } from "../kernel/errors.ts";

type RawIssue = z.core.$ZodRawIssue;

const partNames: Readonly<Record<string, string>> = { querystring: "query", params: "path" };

const kinds: Readonly<Record<string, string>> = {
  ...{ string: "a text", number: "a number", int: "a whole number", boolean: "true or false" },
  ...{ object: "an object", array: "a list", record: "an object" },
};

/**
 * Checks a part of a request by its zod schema. What does not fit is `request-invalid` with the field and what is
 * expected there; values are never repeated, since they may be secrets.
 */
export const validateBySchema: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart = "body" }) => {
  const part = partNames[httpPart] ?? httpPart;
  return (data) => {
    const result = schema.safeParse(data, { error: wordsOf });
    return result.success ? { value: result.data } : { error: refusalOf(result.error.issues, part) };
  };
};

function refusalOf(issues: readonly z.core.$ZodIssue[], part: string): LockstepError {
  // A misspelled name is missing under its right one too, which tells less.
  const issue = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0];
  const unknown = issue?.code === "unrecognized_keys" ? issue.keys.slice(0, 1) : [];
  const field = [...(issue?.path ?? []), ...unknown].map(String).join(".") || part;
  return new LockstepError("request-invalid", `${field}: ${issue?.message}`, { details: { field } });
}

/** Words for what zod's own would be vague about; a schema's own words come before them. */
function wordsOf(issue: RawIssue): string | undefined {
  if (issue.code === "unrecognized_keys") {
    const known = issue.inst instanceof z.ZodObject ? Object.keys(issue.inst.shape) : [];
    return `nothing of this name is known here; expected ${known.join(", ") || "nothing at all"}`;
  }
  if (issue.code === "invalid_type") {
    const isMissing = issue.input === undefined || issue.input === null;
    return `expected ${kinds[issue.expected] ?? issue.expected}${isMissing ? ", and there is none" : ""}`;
  }
  return undefined;
}
