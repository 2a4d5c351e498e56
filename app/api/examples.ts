// Bodies and answers as they are on the wire, from a local network; long lists are cut short.

export const chainExample = {
  name: "alpha",
  chainId: 3133701,
  gateway: "0x2B570A026A8a30594FbB8Ee9F4C1B9410DAC5f19",
  timelock: "0x2De885436cF5db8cD0ea7620F93CE5dB9C44dF7F",
  stateOracle: "0xeb51b62bD83fcF4253601008eA42E6032681D113",
  source: "file",
  state: "active",
  revision: "0",
  finality: "0",
  blockSeconds: 1,
  inclusionSeconds: 2,
  skewSeconds: 1,
  outageSeconds: 0,
  observed: {
    inclusionSeconds: 0.316,
    skewSeconds: 0,
    timeOff: false,
  },
  pollMs: 25,
  startBlock: 0,
  logWindow: 2000,
  indexer: "running",
  head: "22",
  indexed: "22",
  final: "22",
  lag: "0",
  endpoints: [
    {
      endpoint: "127.0.0.1:20769",
      state: "healthy",
      socket: "live",
      latencyMs: 5,
      lastGoodAt: "2026-11-21T23:33:59.066Z",
      head: "22",
      lag: "0",
    },
  ],
  accounts: [
    {
      account: "relayer",
      state: "running",
      open: 0,
      balance: "1000000000000000000000",
      low: false,
      lowBelow: "6923077356000000",
    },
  ],
};

export const newChainExample = {
  name: "gamma",
  chainId: 84532,
  endpoints: ["https://rpc-1.example", "https://rpc-2.example"],
  finality: "safe",
  blockSeconds: 2,
  inclusionSeconds: 30,
  skewSeconds: 15,
  gateway: "0x2B570A026A8a30594FbB8Ee9F4C1B9410DAC5f19",
  timelock: "0x2De885436cF5db8cD0ea7620F93CE5dB9C44dF7F",
};

export const chainPatchExample = {
  pollMs: 1000,
  maxLag: null,
};

export const reindexExample = {
  fork: {
    number: "1200",
    hash: "0xf0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0",
  },
};

export const newLaneExample = {
  origin: "alpha",
  destination: "gamma",
  delivery: "checkpoint",
};

export const laneSettingExample = {
  lane: "alpha→beta",
  origin: "alpha",
  destination: "beta",
  source: "file",
  state: "active",
  revision: "4",
};

const provenPlace = {
  chain: "beta",
  chainId: 3133702,
  block: {
    number: "23",
    hash: "0x395d39db53247e0a519d401854a464cfb02b7e9de56e8db70ba00b96630686e4",
    stateRoot: "0xdedd9d4c229d6991bf069ef05b6e7b8a7d6e0ffa86bebd294eb5fdc17bd22f8b",
  },
  address: "0x2De885436cF5db8cD0ea7620F93CE5dB9C44dF7F",
  exists: true,
};

export const provenAccountExample = {
  ...provenPlace,
  balance: "0",
  nonce: "1",
  codeHash: "0xadfb9774a64a62bcdd4145d90183baa564e57096abde454066e19f0709046b7b",
  storageRoot: "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
  proof: {
    header: "0xf90261a046585fc8ea4ba2d891b92521f1c78f8a889f4c5a26dd175fa0315e9f",
    account: ["0xf901d1a0bfbd2b95bcf1ec0c37e09aa0b84f97b2947c827338c67aa154a3291c"],
  },
};

export const provenSlotExample = {
  ...provenPlace,
  slot: "0x0000000000000000000000000000000000000000000000000000000000000000",
  value: "0x0000000000000000000000000000000000000000000000000000000000000000",
  proof: {
    header: "0xf90261a046585fc8ea4ba2d891b92521f1c78f8a889f4c5a26dd175fa0315e9f",
    account: ["0xf901d1a0bfbd2b95bcf1ec0c37e09aa0b84f97b2947c827338c67aa154a3291c"],
    storage: ["0x80"],
  },
};
