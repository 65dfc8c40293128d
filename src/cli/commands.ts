import { Exit } from "../errors.ts";
import { captureCommand } from "./capture-command.ts";
import {
  type Command,
  exits,
  generation,
  nodeName,
  objectPaths,
  select,
  selectOf,
} from "./command.ts";
import { imagesCommands } from "./images-commands.ts";
import { keyCommands } from "./key-commands.ts";
import { globalOptions, globalsOf, outputOf, outputOption, textOf, textsOf } from "./options.ts";
import { parseGeneration, restoreOptions, toRestoreOptions } from "./restore-options.ts";

/** The first words of two-word commands. */
export const commandGroups: Readonly<Record<string, string>> = {
  key: "Make this node's key, publish it at boot",
  images: "Archive images, give a runtime back what it has lost",
};

/** Every command, in the order of the help. */
export const commands: readonly Command[] = [
  captureCommand,
  {
    words: ["restore"],
    summary: "At boot: if no apiserver answers, turn the newest checkpoint into static pods",
    description: [
      "Asks every apiserver it knows of. If one answers there is nothing to do. If none does, opens the newest good generation, writes the pods' volumes and manifests to a tmpfs under /run/blackstart, and links the manifests into the kubelet's manifest directory. Manifests of others are never touched, and a second run changes nothing.",
      "Where the kubelet would ask for the credentials that an image was pulled with, which a static pod does not present, its record of the pull is set aside in /var/lib/blackstart/pull-records before it starts (`images: {pullRecords: set-aside}`), and put back at the next boot that does not need it.",
      "--retire takes away all that a restore has made: links, manifests, volumes; and puts all pull records back. A kubelet that has not reached an apiserver since it was started keeps running the pods all the same.",
    ],
    options: restoreOptions,
    examples: [
      { line: "restore --dry-run", says: "what a cold boot would do, changing nothing" },
      {
        line: "restore --force --generation 41",
        says: "recovery by hand, from an older generation",
      },
      { line: "restore --retire", says: "take the restored pods away again" },
    ],
    exits: [
      exits.notOpen,
      exits.noStore,
      { status: Exit.osErr, says: "there is no tmpfs for the secrets and none can be mounted" },
      { status: Exit.cantCreat, says: "some pods were left out; the others were restored" },
      exits.disk,
      { status: Exit.tempFail, says: "another restore or capture is running" },
      exits.noKey,
    ],
    run: async (values) => {
      const { restore } = await import("./restore.ts");
      return restore(toRestoreOptions(values));
    },
  },
  {
    words: ["settle"],
    summary: "After a cold boot has lasted: give its generation the boot attempts back",
    description: [
      "Each cold boot takes one of a generation's three attempts, so that a checkpoint that kills the node is not restored for ever. This gives them back: at once where no API server is among the restored pods, else as soon as one answers. It does not bless the generation.",
    ],
    options: { ...globalOptions, output: outputOption },
    examples: [
      { line: "settle", says: "what blackstart-settle.timer does ten minutes after a restore" },
      { line: "settle -v", says: "tells every endpoint that was asked" },
    ],
    exits: [
      exits.notOpen,
      { status: Exit.unavailable, says: "no apiserver answers yet: the attempts stay as they are" },
      exits.disk,
      exits.noKey,
    ],
    run: async (values) => {
      const { settle } = await import("./settle.ts");
      return settle({ ...globalsOf(values), output: outputOf(values) });
    },
  },
  {
    words: ["render"],
    summary: "Write the exact manifests and volumes that a restore would, anywhere",
    description: [
      "Turns objects into what a restore of them would project: run/blackstart/manifests/*.json and every volume's tree, under --out as if it were /. Needs no root, no store, no key. Without root, ownership that cannot be applied is listed.",
    ],
    options: {
      ...globalOptions,
      output: outputOption,
      from: objectPaths,
      node: nodeName,
      select,
      out: {
        type: "string",
        value: "DIR",
        otherwise: "print the manifests",
        describe: "Write manifests and volumes under this directory",
      },
    },
    examples: [
      { line: "render --from pods.yaml --out /dev/shm/look", says: "look at the files" },
      { line: "render --from objects/ --select all -o json", says: "manifests as data, for CI" },
    ],
    exits: [
      exits.notOpen,
      exits.noObject,
      { status: Exit.cantCreat, says: "the output directory cannot be written" },
      exits.disk,
      { status: Exit.noPerm, says: "a file may not be read, or the directory not written" },
    ],
    run: async (values) => {
      const { render } = await import("./render.ts");
      return render({
        ...globalsOf(values),
        output: outputOf(values),
        from: textsOf(values, "from"),
        node: textOf(values, "node"),
        select: selectOf(values),
        out: textOf(values, "out"),
      });
    },
  },
  {
    words: ["status"],
    summary: "Show the store, what is projected now, and how well it is protected",
    description: [
      "One screen: the generations with their age, whether each opens, the pods in the newest with their images (there, pinned, usable by a copy or why not) and those left out with the reason, how the key is protected at rest, and what is projected now.",
    ],
    options: { ...globalOptions, output: outputOption },
    examples: [
      { line: "status", says: "for people" },
      { line: "status -o json", says: "the same, for monitoring" },
    ],
    exits: [exits.noStore, exits.disk, exits.noKey],
    run: async (values) => {
      const { status } = await import("./status.ts");
      return status({ ...globalsOf(values), output: outputOf(values) });
    },
  },
  {
    words: ["verify"],
    summary: "Open every generation and check it again; change nothing",
    description: [
      "Opens each generation with this node's key, checks every object in it and plans its restore. Says for each whether it is intact, and what a cold boot would find of the newest one's images.",
    ],
    options: { ...globalOptions, output: outputOption },
    examples: [
      { line: "verify", says: "from a timer: the exit status says whether all is well" },
      { line: "verify -o json --root /mnt", says: "the store of another system" },
    ],
    exits: [exits.notOpen, exits.noStore, exits.disk, exits.noKey],
    run: async (values) => {
      const { verify } = await import("./verify.ts");
      return verify({ ...globalsOf(values), output: outputOf(values) });
    },
  },
  {
    words: ["show"],
    positional: { name: "POD", describe: "NAMESPACE/NAME, or NAME where only one pod has it" },
    summary: "Show a checkpointed pod and what its manifest would be",
    description: [
      "Prints the pod as it was captured and the manifest that a restore would write. Secret values are hidden unless --reveal is given.",
    ],
    options: {
      ...globalOptions,
      output: outputOption,
      generation,
      reveal: { type: "boolean", describe: "Print secret values too" },
    },
    examples: [
      { line: "show kube-system/etcd-7xk2p", says: "what was captured, without secrets" },
      { line: "show etcd-7xk2p -o json", says: "the manifest as data" },
    ],
    exits: [
      exits.notOpen,
      { status: Exit.noInput, says: "no such pod, or no checkpoint" },
      exits.disk,
      exits.noKey,
    ],
    run: async (values) => {
      const { show } = await import("./show.ts");
      const wanted = textOf(values, "generation");
      return show({
        ...globalsOf(values),
        output: outputOf(values),
        pod: textOf(values, "POD") ?? "",
        generation: wanted === undefined ? undefined : parseGeneration(wanted),
        reveal: values["reveal"] === true,
      });
    },
  },
  ...keyCommands,
  ...imagesCommands,
];

/** Pure. `--select` after the parser has checked its choices. */
