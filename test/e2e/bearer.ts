import { readFileSync } from "node:fs";
import { request } from "node:https";
import type { ControlPlane } from "./control-plane.ts";

/** Asks the apiserver who the bearer of that token is; 401 when it does not take it. */
export function askWith(
  { url, caFile }: Pick<ControlPlane, "url" | "caFile">,
  token: string,
): Promise<{ readonly status: number; readonly user: string | undefined }> {
  const body = JSON.stringify({
    kind: "SelfSubjectReview",
    apiVersion: "authentication.k8s.io/v1",
  });
  const options = {
    method: "POST",
    ca: readFileSync(caFile),
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
  };
  return new Promise((resolve, reject) => {
    const path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    const sent = request(`${url}${path}`, options, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        text += part;
      });
      response.once("error", reject);
      response.once("end", () => {
        const user = /"username":"([^"]+)"/.exec(text)?.[1];
        resolve({ status: response.statusCode ?? 0, user });
      });
    });
    sent.once("error", reject);
    sent.end(body);
  });
}
