import { mkdirSync } from "node:fs";
import { join } from "node:path";

/** Where a local network keeps its files, below one folder. */
export type Layout = ReturnType<typeof createLayout>;

export function createLayout(dataDir: string) {
  const logs = join(dataDir, "logs");
  mkdirSync(logs, { recursive: true });
  return {
    dataDir,
    keys: join(dataDir, "keys"),
    /** Written when the contracts are deployed; its presence says that a network ran here. */
    network: join(dataDir, "network.json"),
    service: join(dataDir, "service.json"),
    validator: (name: string) => join(dataDir, `${name}.json`),
    validatorStore: (name: string) => join(dataDir, `${name}.sqlite`),
    log: (name: string) => join(logs, `${name}.log`),
  };
}
