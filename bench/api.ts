import { parseArgs } from "node:util";
import { measureCreates, measureReads } from "./api/requests.ts";
import { openApiWorld } from "./api/service.ts";
import { measureStreams } from "./api/sse.ts";

/** What the HTTP side of one process carries, with PostgreSQL, asked by a second process. */
const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    json: { type: "boolean", default: false },
    creates: { type: "string", default: "3000" },
    /** Clients that read the stream of events; 0 leaves that measure out. */
    clients: { type: "string", default: "2000" },
  },
});

const api = await openApiWorld(50);
let answer: object;
try {
  const read = await measureReads(api);
  const create = await measureCreates(api, Number(values.creates));
  answer = { read, create };
} finally {
  await api.world.close();
}
const clients = Number(values.clients);
if (clients > 0) answer = { ...answer, sse: await measureStreams({ clients }) };
if (values.json) console.log(JSON.stringify(answer));
else for (const [name, figures] of Object.entries(answer)) console.log(name, figures);
