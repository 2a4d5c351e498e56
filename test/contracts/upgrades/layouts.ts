import { getStorageUpgradeReport, type StorageLayout } from "@openzeppelin/upgrades-core";
import { validationOptions } from "./analyse.ts";

const volatile = new Set(["astId", "src", "solcVersion"]);

/**
 * A layout without what changes though no storage does: source lines, the compiler's version, and the numbers of syntax
 * tree nodes in type names, which are counted anew from 1. So layouts that are kept can be compared as text.
 */
export function stableLayout({ storage, namespaces, types }: StorageLayout): StorageLayout {
  const kept = JSON.stringify({ storage, namespaces, types }, (key, value) => (volatile.has(key) ? undefined : value));
  const numbers = new Map<string, number>();
  const renumbered = kept.replaceAll(/(?<=\(\w+\))\d+/g, (id) => {
    if (!numbers.has(id)) numbers.set(id, numbers.size + 1);
    return String(numbers.get(id));
  });
  const stable: StorageLayout = JSON.parse(renumbered);
  const inOrder = Object.entries(stable.types).sort(([a], [b]) => (a < b ? -1 : 1));
  return { ...stable, types: Object.fromEntries(inOrder) };
}

/** Why a proxy whose storage is as `reference` cannot be upgraded to `layout`, in words; undefined when it can. */
export function incompatibility(reference: StorageLayout, layout: StorageLayout): string | undefined {
  const report = getStorageUpgradeReport(reference, layout, validationOptions);
  return report.pass ? undefined : report.explain(false);
}
