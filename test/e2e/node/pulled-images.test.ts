import { suite } from "uvu";
import { runPulledImages } from "./pulled-images.ts";
import { lackingForNode } from "./requirements.ts";

const pulledImages = suite("e2e/node/pulled-images");

const lacking = lackingForNode();
if (lacking !== undefined) {
  console.log(`SKIPPED private images on a real node: ${lacking}`);
}
const scenario = lacking === undefined ? pulledImages : pulledImages.skip;

scenario("a pod whose image was pulled with a secret comes back without its registry", () =>
  runPulledImages("1.37"),
);

pulledImages.run();
