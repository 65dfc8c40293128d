// The command lines that the code caches are made from: what a node really runs, on example objects.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cleanEnvironment, repository } from "../install.mjs";

const examples = join(repository, "examples");

/**
 * Makes `<name>.cache` beside each script in `dir`.
 *
 * @param {string} dir
 * @param {readonly string[]} node  command that runs the executable's Node
 * @param {readonly string[]} scripts  names, `boot` first
 */
export function train(dir, node, scripts) {
  const root = mkdtempSync(
    join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "blackstart-train-"),
  );
  const at = ["--root", root];
  try {
    const lines = [
      ["--help"],
      ...(existsSync(examples)
        ? [
            ["key", "init", "--slot", "plain", ...at],
            ["capture", "--select", "all", "--from", examples, ...at],
            ["restore", "--force", ...at],
          ]
        : []),
    ];
    const [file = "", ...args] = node;
    execFileSync(file, [...args, "--predictable", join(import.meta.dirname, "train.mjs"), dir], {
      input: JSON.stringify({ lines, scripts }),
      env: cleanEnvironment(),
      stdio: ["pipe", "ignore", "inherit"],
    });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
