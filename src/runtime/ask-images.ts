import { type ImageFinding, imageStatus } from "./cri.ts";
import { openGrpcSocket } from "./grpc.ts";

/**
 * Asks the runtime for all these images at once; the connection is closed afterwards. Never rejects.
 *
 * @param path        the runtime's socket, absolute
 * @param references  names, digests and ids
 * @param deadlineMs  for all together; what is not answered by then is unknown
 */
export async function askImages(
  path: string,
  references: readonly string[],
  deadlineMs: number,
): Promise<ReadonlyMap<string, ImageFinding>> {
  using socket = openGrpcSocket(path);
  const answers = references.map(
    async (reference) => [reference, await imageStatus(socket, reference, deadlineMs)] as const,
  );
  return new Map(await Promise.all(answers));
}
