/** Words that the API takes, without its schemas, which would have to be loaded for every help: a test compares them. */
export const messageStatuses = [
  ...(["submitted", "sent", "final", "attested"] as const),
  ...(["delivering", "delivered", "failed", "dropped"] as const),
] as const;

export const swapStatuses = [
  ...(["requested", "sourceLocked", "targetLocked", "revealed", "completed"] as const),
  ...(["refunding", "refunded", "failed", "initiatorLost", "counterpartyLost"] as const),
] as const;

/** Steps of a swap that somebody is asked about. */
export const lockSteps = ["lock-source", "lock-target"] as const;

export const eventKinds = ["message", "lane", "swap", "batch", "lock", "transaction"] as const;
