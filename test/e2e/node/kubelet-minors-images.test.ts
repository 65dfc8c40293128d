import { suite } from "uvu";
import { runPulledImages } from "./pulled-images.ts";
import { lackingForNode } from "./requirements.ts";

const minors = suite("e2e/node/kubelet-minors-images");

const lacking = lackingForNode();
if (lacking !== undefined) {
  console.log(`SKIPPED private images on kubelets of two minors: ${lacking}`);
}
const scenario = lacking === undefined ? minors : minors.skip;

// An older kubelet keeps no records of what it pulled.
for (const minor of ["1.36", "1.35"] as const) {
  scenario(`a private image comes back without its registry, under kubelet ${minor}`, () =>
    runPulledImages(minor),
  );
}

minors.run();
