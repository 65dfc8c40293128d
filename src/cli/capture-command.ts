import { Exit } from "../errors.ts";
import { captureOptions, toCaptureOptions } from "./capture-options.ts";
import { type Command, exits } from "./command.ts";

/** `blackstart capture`. */
export const captureCommand: Command = {
  words: ["capture"],
  summary: "Seal a checkpoint of this node's chosen pods and all that they reference",
  description: [
    "Asks the apiserver, with the kubelet's own credentials, for this node's pods, chooses those to keep, gathers every Secret, ConfigMap and volume that they reference, mints the tokens that they use, and commits one sealed generation to the store. A pod is captured whole or not at all; one that no static pod can stand in for is recorded with its reason. Where nothing has changed since the newest generation nothing is written.",
    "The credentials are those of the kubelet's kubeconfig: as its command line says, else /etc/kubernetes/kubelet.conf; `kubeconfig` of the configuration names another. The node's key has to be there: `blackstart key init` makes it.",
    "The newest generation stays the newest when the capture would be worse: when a reference of a pod that it holds leads nowhere, when no pod is selected any more, when the apiserver does not answer, or not as an apiserver does. While pods from a checkpoint run on this node nothing is captured from an apiserver.",
    "A generation whose pods have all been Ready for the settle period is blessed: restore falls back to it when a newer one has failed to come up.",
  ],
  options: captureOptions,
  examples: [
    { line: "capture", says: "once, now" },
    { line: "capture --watch", says: "what blackstart-capture.service runs" },
    { line: "capture --from objects/", says: "from files, when a machine is provisioned" },
    { line: "capture --from - --select all", says: "every pod of an edge node, from stdin" },
  ],
  exits: [
    {
      status: Exit.dataErr,
      says: "no pod is selected, a reference leads nowhere, or an object is not as it should be",
    },
    { status: Exit.noInput, says: "--from: no object was read" },
    {
      status: Exit.unavailable,
      says: "no apiserver answers, or it refuses or makes no sense; the store is as it was",
    },
    { status: Exit.cantCreat, says: "the store cannot be written" },
    exits.disk,
    {
      status: Exit.tempFail,
      says: "not now: another capture is running, pods from a checkpoint run, or the clock is not set yet",
    },
    exits.noKey,
  ],
  run: async (values) => {
    const { capture } = await import("./capture.ts");
    return capture(toCaptureOptions(values));
  },
};
