// Preloaded into child processes that know nothing of their parent: when the channel to it closes, because it ended in
// order or was killed, they end too, and nothing is left behind on the ports.
process.once("disconnect", () => process.exit(0));
// Listening keeps the channel alive, and that would keep a process that has nothing left to do from ending.
process.channel?.unref();
