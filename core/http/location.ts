/** Where the thing of an answer is: a template with fields of the answer as `:name`. */
export const placeOf = (template: string, answer: unknown): string =>
  template.replaceAll(/:(\w+)/g, (_, name: string) =>
    encodeURIComponent(String((answer as Readonly<Record<string, unknown>>)[name])),
  );
