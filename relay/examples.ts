// Bodies and answers as they are on the wire, from a local network; long lists are cut short.

export const messageRequestExample = {
  origin: "alpha",
  destination: "beta",
  recipient: "0x2bfac2BD4Fd55a5a0C56a27ae2486e7796af0676",
  payload: "0x68656c6c6f",
};

export const messageExample = {
  id: "a822f3ee-6e52-40c0-955f-4a66967bcf11",
  onchainId: "0x13676f4fb0618ccf6a867cdbab98a3edf82366169648ea71e7b5092df8ac2d8c",
  status: "delivered",
  deadLettered: false,
  reason: {
    code: "ended",
    message: "nothing is left to do",
  },
  lane: "alpha→beta",
  origin: "alpha",
  destination: "beta",
  nonce: "1",
  sender: "0xd09422E0ad217E4A3464b8e9A5D415B721ACb1d6",
  recipient: "0x2bfac2BD4Fd55a5a0C56a27ae2486e7796af0676",
  payload: "0x68656c6c6f",
  gasLimit: "200000",
  createdAt: "2026-11-21T23:33:56.569Z",
  timeline: [
    {
      at: "2026-11-21T23:33:56.569Z",
      what: "MessageSubmitted",
      chain: "alpha",
      detail: "from account relayer",
    },
    {
      at: "2026-11-21T23:33:58.196Z",
      what: "DeliveryFinalized",
      chain: "beta",
      blockNumber: "20",
    },
  ],
};

export const laneExample = {
  lane: "alpha→beta",
  origin: "alpha",
  destination: "beta",
  delivery: "checkpoint",
  source: "file",
  state: "active",
  revision: "0",
  seen: "1",
  finalized: "1",
  attested: "1",
  delivered: "1",
  backlog: 0,
  generation: 0,
  pausedThere: false,
  deferred: 0,
  excluded: [],
};

export const validatorExample = {
  name: "validator-1",
  address: "0x0843e9Dfca221b933c5FA89b888Ed7C722f53BBf",
  weight: "1",
  url: "http://127.0.0.1:20771",
  reachable: true,
  lastSeen: "2026-11-21T23:33:59.246Z",
  epochs: [
    {
      lane: "alpha→beta",
      epoch: "1",
      weight: "1",
    },
  ],
  misbehaviour: [],
  attestations: [
    {
      lane: "alpha→beta",
      nonce: "1",
      at: "2026-11-21T23:33:57.303Z",
    },
  ],
};

export const attestationExample = {
  originChainId: 3133701,
  originGateway: "0x2De885436cF5db8cD0ea7620F93CE5dB9C44dF7F",
  destinationChainId: 3133702,
  destinationGateway: "0x2De885436cF5db8cD0ea7620F93CE5dB9C44dF7F",
  generation: 0,
  nonce: "1",
  accumulator: "0xacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacac",
  epoch: "1",
  signer: "0x0843e9Dfca221b933c5FA89b888Ed7C722f53BBf",
  signature:
    "0x1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b",
};

export const bridgeExample = {
  name: "gold",
  home: {
    chain: "alpha",
    token: "0x2De885436cF5db8cD0ea7620F93CE5dB9C44dF7F",
    bridge: "0x2De885436cF5db8cD0ea7620F93CE5dB9C44dF7F",
  },
  remote: {
    chain: "beta",
    token: "0x2De885436cF5db8cD0ea7620F93CE5dB9C44dF7F",
  },
  compared: {
    backed: true,
    locked: "1000",
    minted: "1000",
    homeBlock: "40",
    remoteBlock: "38",
    at: "2026-11-21T23:33:56.099Z",
  },
};

export const retryExample = {
  lane: "alpha→beta",
  from: "2026-01-31T12:00:00Z",
};

export const retriedExample = {
  count: 1,
  ids: ["a822f3ee-6e52-40c0-955f-4a66967bcf11"],
  more: false,
};
