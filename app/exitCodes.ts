/** Wrong usage of a command. */
export const exitUsage = 64;
/** Something only a person can mend: the configuration, a chain that was replaced. Starting again does not help. */
export const exitMend = 78;
