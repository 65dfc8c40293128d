import { Failure } from "../errors.ts";
import type { ExecPlugin } from "./kubeconfig-user.ts";

/**
 * The failure of a plugin. Pure.
 *
 * @param found  never what it printed
 */
export function execFailure({ command, installHint }: ExecPlugin, found: string): Failure {
  const hint = installHint === undefined ? "" : `; the kubeconfig's hint: ${installHint}`;
  return new Failure("E_EXEC_PLUGIN", {
    what: "the credential plugin of the kubeconfig gives no credentials",
    where: command,
    found,
    next: `Run \`kubectl get --raw /readyz\` with this kubeconfig to see what it says${hint}`,
  });
}
