import fastify from "fastify";

/** The floor: a fastify route that returns these bytes and knows nothing else. */
process.on("message", async (text: string) => {
  const app = fastify();
  app.get("/v1/swaps/:id", async (_request, reply) => reply.type("application/json; charset=utf-8").send(text));
  await app.listen({ host: "127.0.0.1", port: 0 });
  const address = app.server.address();
  process.send?.(typeof address === "object" ? address?.port : 0);
});
