/**
 * Servers that must be there, from LOCKSTEP_TEST_REQUIRE (such as `postgres,redis`): where one does not answer, its
 * cases fail instead of being skipped.
 */
export function isRequired(server: string): boolean {
  return (process.env.LOCKSTEP_TEST_REQUIRE ?? "").split(",").includes(server);
}
