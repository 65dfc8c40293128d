export interface Steps {
  /** Does one step of a scenario; its time is printed, also that of one which fails. */
  readonly step: <T>(name: string, run: () => T | Promise<T>) => Promise<T>;
}

/** Tells on stdout what a scenario is doing and how long each step took. */
export function startSteps(scenario: string): Steps {
  // uvu has the suite's name on the line already.
  console.log();
  const begunMs = performance.now();
  const seconds = (ms: number) => `${(ms / 1000).toFixed(2).padStart(7)} s`;
  return {
    step: async (name, run) => {
      const startedMs = performance.now();
      let end = "FAILED";
      try {
        const result = await run();
        end = "";
        return result;
      } finally {
        const now = performance.now();
        console.log(
          `# ${scenario} ${seconds(now - begunMs)} ${seconds(now - startedMs)}  ${name} ${end}`,
        );
      }
    },
  };
}
