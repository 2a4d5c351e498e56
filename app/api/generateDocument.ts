import { writeFileSync } from "node:fs";
import { apiDocument } from "./document.ts";

// Writes docs/openapi.json anew: `node app/api/generateDocument.ts`, then `biome check --write docs/openapi.json`.
writeFileSync(
  new URL("../../docs/openapi.json", import.meta.url),
  `${JSON.stringify(await apiDocument(), undefined, 2)}\n`,
);
