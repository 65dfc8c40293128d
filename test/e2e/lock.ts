import { spawn } from "node:child_process";

/** Runs while no other process holds the lock; the kernel gives it up when this process ends, in whatever way. */
export async function withLock<T>(file: string, run: () => Promise<T>): Promise<T> {
  const holder = spawn("flock", [file, "sh", "-c", "echo held; exec cat"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await new Promise<void>((resolve, reject) => {
    holder.once("error", reject);
    holder.once("exit", () => reject(new Error(`flock ${file} ended`)));
    holder.stdout.once("data", () => resolve());
  });
  try {
    return await run();
  } finally {
    holder.stdin.end();
  }
}
