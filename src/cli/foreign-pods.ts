import { under } from "../config.ts";
import { Failure } from "../errors.ts";
import { type ForeignPod, observeForeignNames, observeForeignPods } from "../host/foreign-pods.ts";
import type { PodPlan, RestorePlan, Skip } from "../model/plan.ts";
import { withManifestDir } from "./projected.ts";
import type { Session } from "./session.ts";

/**
 * The plan without the pods that another manifest in the kubelet's directory defines already.
 *
 * A kubelet keeps static pods by namespace and name: two files with one name make it run now this, now that.
 * Whoever put the other file there has decided.
 */
export async function withoutForeignPods(
  session: Session,
  staticPodPath: string,
  plan: RestorePlan,
): Promise<RestorePlan> {
  const names = withManifestDir(session, staticPodPath, observeForeignNames) ?? [];
  const foreign = await observeForeignPods(under(session.root, staticPodPath), names);
  return foreign.length === 0 ? plan : leaveOut(plan, foreign);
}

/** Pure. The pods of the plan that no foreign manifest defines; the others are skipped with E_FOREIGN. */
export function leaveOut(plan: RestorePlan, foreign: readonly ForeignPod[]): RestorePlan {
  const files = new Map(foreign.map(({ namespace, name, file }) => [`${namespace}/${name}`, file]));
  const skipped: Skip[] = [...plan.skipped];
  const pods = plan.pods.filter((pod) => {
    const file = files.get(`${pod.namespace}/${nameOf(pod)}`);
    if (file === undefined) {
      return true;
    }
    const { code, message } = new Failure("E_FOREIGN", {
      what: `another manifest defines a static pod of the same name as pod ${pod.namespace}/${pod.name}`,
      where: file,
      found: "the kubelet would run now the one and now the other",
      next: "Move that file out of the directory if the checkpoint's pod is wanted",
    });
    skipped.push({ namespace: pod.namespace, name: pod.name, code, message });
    return false;
  });
  return { ...plan, pods, skipped };
}

/** The name in the manifest, which is nearly always the parent's. */
function nameOf({ manifest }: PodPlan): string {
  return String(JSON.parse(manifest.text).metadata.name);
}
