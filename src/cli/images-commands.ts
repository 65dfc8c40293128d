import { Exit } from "../errors.ts";
import { type Command, exits } from "./command.ts";
import { globalOptions, globalsOf, outputOf, outputOption } from "./options.ts";

const options = { ...globalOptions, output: outputOption };

/** The commands about the archive of images. */
export const imagesCommands: readonly Command[] = [
  {
    words: ["images", "archive"],
    summary: "Copy the blessed generation's images from containerd to the archive",
    description: [
      "The archive is an OCI image layout in the directory that `images: {archive: DIR}` names; without that there is none, and nothing is done. It holds the images of the newest blessed generation and of the pods' sandboxes: each layer once, each blob's digest checked as it is written, of a multi-platform image this node's platform only. What no image of it needs any more is removed.",
      "A capture does the same when it blesses a generation. Only containerd gives images, and not with `discard_unpacked_layers = true`.",
    ],
    options,
    examples: [
      { line: "images archive", says: "now; reads what is there and replaces what is altered" },
      { line: "images archive -o json", says: "how large it is, as data" },
    ],
    exits: [
      exits.notOpen,
      { status: Exit.noInput, says: "no generation is blessed, or it does not know its images" },
      { status: Exit.unavailable, says: "containerd does not answer; the archive is as it was" },
      { status: Exit.cantCreat, says: "an image is not archived, or there is not enough space" },
      exits.disk,
      { status: Exit.tempFail, says: "another process is archiving" },
      exits.noKey,
    ],
    run: async (values) => {
      const { imagesArchive } = await import("./images.ts");
      return imagesArchive({ ...globalsOf(values), output: outputOf(values) });
    },
  },
  {
    words: ["images", "import"],
    summary: "At boot: give containerd back the archived images that it has lost",
    description: [
      "Lost is an image whose name containerd does not have, whose index, manifest or configuration is missing or cut off, or that is not unpacked while one of its layers is. Each blob's digest is checked before it is committed. An image whose blob is truncated or altered in the archive is named and not imported; the others are. A name that stands for other content stays.",
      "Waits half a minute at most for containerd. Needs no key.",
    ],
    options,
    examples: [
      { line: "images import", says: "what blackstart-images.service does before the kubelet" },
      { line: "images import -o json", says: "every name, and what was done about it" },
    ],
    exits: [
      { status: Exit.dataErr, says: "the archive's index is malformed" },
      { status: Exit.unavailable, says: "containerd does not answer" },
      { status: Exit.cantCreat, says: "some images are not whole in the archive" },
      exits.disk,
      { status: Exit.noPerm, says: "a file may not be read" },
    ],
    run: async (values) => {
      const { imagesImport } = await import("./images.ts");
      return imagesImport({ ...globalsOf(values), output: outputOf(values) });
    },
  },
];
