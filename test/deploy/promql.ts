/** What a metric is called by, with the labels that an expression asks of it. */
export type Use = { readonly metric: string; readonly labels: readonly string[] };

/** Functions, operators and words of PromQL that our expressions use. */
const words = new Set(
  [
    ...["sum", "min", "max", "count", "by", "on", "and", "or", "unless", "scalar", "vector"],
    ...["rate", "increase", "delta", "deriv", "histogram_quantile", "label_values"],
  ].values(),
);

/** The metrics of an expression. Throws for brackets that do not fit and for words that are unknown. */
export function usesOf(expression: string): Use[] {
  assertBalanced(expression);
  const uses: Use[] = [];
  const plain = expression
    // Groups of labels are no metrics.
    .replace(/\b(?:by|on|ignoring|without|group_left|group_right)\s*\(([^)]*)\)/g, " ")
    .replace(/\[[^\]]*\]/g, " ");
  for (const [, name = "", matchers = ""] of plain.matchAll(/([a-zA-Z_][\w:]*)\s*(\{(?:[^}"]|"[^"]*")*\})?/g)) {
    if (words.has(name)) continue;
    uses.push({
      metric: name,
      labels: [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = ""]) => label),
    });
  }
  return uses;
}

function assertBalanced(expression: string): void {
  const open: string[] = [];
  for (const [sign] of expression.replace(/"[^"]*"/g, "").matchAll(/[()[\]{}]/g)) {
    if ("([{".includes(sign)) open.push(sign);
    else if ("([{".indexOf(open.pop() ?? " ") !== ")]}".indexOf(sign))
      throw new SyntaxError(`brackets of ${expression}`);
  }
  if (open.length > 0) throw new SyntaxError(`brackets of ${expression}`);
}
