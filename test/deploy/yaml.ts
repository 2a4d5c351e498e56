/**
 * Reads the part of YAML that the files for Prometheus keep to: mappings and lists by indentation, plain and
 * double-quoted texts on one line, and literal blocks. Everything else throws with its line, so what is read here is read
 * by every parser, and means the same.
 */
export type Yaml = string | readonly Yaml[] | { readonly [key: string]: Yaml };

type Line = { readonly number: number; readonly indent: number; readonly text: string };

export function parseYaml(source: string): Yaml {
  const raw = source.split("\n");
  const lines = raw.flatMap((whole, index): Line[] => {
    const text = whole.trimStart();
    if (text === "" || text.startsWith("#")) return [];
    return [{ number: index + 1, indent: whole.length - text.length, text: text.trimEnd() }];
  });
  let at = 0;

  const fail = (line: Line, why: string): never => {
    throw new SyntaxError(`line ${line.number}: ${why}: ${line.text}`);
  };

  function block(indent: number): Yaml {
    const first = lines[at];
    if (!first || first.indent < indent) return "";
    return first.text.startsWith("- ") ? list(first.indent) : mapping(first.indent);
  }

  function list(indent: number): Yaml[] {
    const items: Yaml[] = [];
    for (let line = lines[at]; line && line.indent === indent && line.text.startsWith("- "); line = lines[at]) {
      const inner = { number: line.number, indent: indent + 2, text: line.text.slice(2) };
      if (/^[\w-]+:( |$)/.test(inner.text)) {
        lines[at] = inner;
        items.push(mapping(indent + 2));
      } else {
        at++;
        items.push(scalar(inner, inner.text));
      }
    }
    return items;
  }

  function mapping(indent: number): Record<string, Yaml> {
    const found: Record<string, Yaml> = {};
    for (let line = lines[at]; line && line.indent >= indent; line = lines[at]) {
      const [, key = "", value = ""] = /^([\w-]+):(?: (.+))?$/.exec(line.text) ?? [];
      if (line.indent > indent || key === "") fail(line, "is no entry of the mapping");
      if (key in found) fail(line, "is there twice");
      at++;
      if (value === "|") found[key] = literal(line);
      else found[key] = value === "" ? block(indent + 1) : scalar(line, value);
    }
    return found;
  }

  /** As the file has it, without the indentation of its first line. */
  function literal(head: Line): string {
    const first = lines[at];
    if (!first || first.indent <= head.indent) return fail(head, "has no text");
    const texts: string[] = [];
    for (let line = lines[at]; line && line.indent > head.indent; line = lines[++at]) {
      if (line.indent < first.indent) fail(line, "is less indented than the first line");
      texts.push((raw[line.number - 1] ?? "").slice(first.indent));
    }
    return `${texts.join("\n")}\n`;
  }

  function scalar(line: Line, text: string): string {
    if (text.startsWith('"')) return JSON.parse(text) as string;
    if (/^[\s&*!|>'%@`{}[\],?:#-]|: | #|:$/.test(text)) return fail(line, "wants quotes");
    return text;
  }

  const whole = block(0);
  const rest = lines[at];
  return rest ? fail(rest, "is not indented as what it belongs to") : whole;
}
