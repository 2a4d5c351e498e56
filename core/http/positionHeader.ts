/** Of an answer: how far what it shows reaches. Of a request: what its answer must not fall behind. */
export const positionHeader = "lockstep-position";
