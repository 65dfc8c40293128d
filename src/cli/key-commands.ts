import { Exit } from "../errors.ts";
import { type Command, exits } from "./command.ts";
import { globalOptions, globalsOf, textOf } from "./options.ts";

/** The commands about the node's key. */
export const keyCommands: readonly Command[] = [
  {
    words: ["key", "init"],
    summary: "Make this node's key and keep it in a slot",
    description: [
      "Makes one random key, and keeps it sealed by the host's systemd credential secret, or in a plain file. A plain file protects nothing from whoever has the disk, so it must be asked for. An existing key is never replaced.",
    ],
    options: {
      ...globalOptions,
      slot: {
        type: "string",
        value: "SLOT",
        choices: ["credential", "plain"],
        otherwise: "credential",
        describe: "Where the key is kept",
      },
    },
    examples: [
      { line: "key init", says: "sealed by systemd-creds: the disk alone does not open it" },
      { line: "key init --slot plain --root /tmp/try", says: "to try things out" },
    ],
    exits: [
      { status: Exit.cantCreat, says: "there is a key already, or it cannot be kept" },
      exits.noKey,
    ],
    run: async (values) => {
      const { keyInit } = await import("./key.ts");
      const slot = textOf(values, "slot") === "plain" ? "plain" : "credential";
      return keyInit({ ...globalsOf(values), slot });
    },
  },
  {
    words: ["key", "publish"],
    summary: "Unwrap the key into /run/blackstart, for the units of this boot",
    description: [
      "Tries the key's slots and writes the key to /run/blackstart/key (0400, on tmpfs), from where the units load it as a credential.",
    ],
    options: globalOptions,
    examples: [
      { line: "key publish", says: "what blackstart-key.service does" },
      { line: "key publish --root /mnt", says: "for another system" },
    ],
    exits: [{ status: Exit.cantCreat, says: "no slot opens" }, exits.noKey],
    run: async (values) => {
      const { keyPublish } = await import("./key.ts");
      return keyPublish(globalsOf(values));
    },
  },
];
