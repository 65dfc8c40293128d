/** An apiserver's address, taken apart. */
export interface ServerUrl {
  /** `https://host:port/prefix`, as it is shown. */
  readonly url: string;
  /** A name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
  /** The path without a slash at its end; mostly "". */
  readonly prefix: string;
}

/** Pure. Host, port and prefix of an apiserver's URL, or why it cannot be asked. */
export function parseServer(server: string): ServerUrl | { readonly problem: string } {
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url === undefined || url.hostname === "") {
    return { problem: "not a URL of the form https://host:port" };
  }
  if (url.protocol !== "https:") {
    return { problem: "not https, so nothing that answers could be verified" };
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    return { problem: "more than https://host:port/path" };
  }
  const port = url.port === "" ? 443 : Number(url.port);
  if (port === 0) {
    return { problem: "port 0" };
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const prefix = url.pathname.replace(/\/+$/, "");
  return { url: `https://${url.hostname}:${port}${prefix}`, host, port, prefix };
}
