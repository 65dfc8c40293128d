import { fakeContainerd } from "../../runtime/fake-containerd.ts";

// A containerd without an image, at the path of the first argument, until it is killed.
await fakeContainerd(process.argv[2]);
console.log("ready");
