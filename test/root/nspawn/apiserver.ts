import assert from "node:assert/strict";
import type { Machine } from "./machine.ts";

const port = 6443;

/** A cluster's CA, a serving certificate of 127.0.0.1, and a client's, made with openssl. */
const makeCertificates = `
set -e
mkdir -p /etc/kubernetes/pki
cd /etc/kubernetes/pki
ec="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
openssl req -x509 $ec -subj /CN=kubernetes -keyout ca.key -out ca.crt
openssl req $ec -subj /CN=kube-apiserver -keyout serve.key -out serve.csr
printf 'subjectAltName=IP:127.0.0.1\\nextendedKeyUsage=serverAuth\\n' > serve.ext
openssl x509 -req -in serve.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile serve.ext -out serve.crt
openssl req $ec -subj /O=system:nodes/CN=system:node:node1 -keyout node.key -out node.csr
openssl x509 -req -in node.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -out node.crt
cat node.crt node.key > node.pem
chmod 600 *.key node.pem
`;

const kubeconfig = (host: string) => `apiVersion: v1
kind: Config
clusters:
  - name: c
    cluster: {server: "https://${host}:${port}", certificate-authority: /etc/kubernetes/pki/ca.crt}
contexts:
  - name: c
    context: {cluster: c, user: node}
current-context: c
users:
  - name: node
    user: {client-certificate: /etc/kubernetes/pki/node.pem, client-key: /etc/kubernetes/pki/node.pem}
`;

/** Answers every GET with 200 over verified TLS, which is what counts as reachable. */
const unit = `[Unit]
DefaultDependencies=no
Before=blackstart-restore.service
[Service]
WorkingDirectory=/etc/kubernetes/pki
ExecStart=/usr/bin/openssl s_server -quiet -accept 127.0.0.1:${port} -cert serve.crt -key serve.key -www
# The unit counts as started once the port is open.
ExecStartPost=/bin/bash -c 'until (: < /dev/tcp/127.0.0.1/${port}) 2> /dev/null; do sleep 0.02; done'
TimeoutStartSec=10
`;

/** Gives the machine a kubelet's kubeconfig that names another machine, which is off. */
export function knowOtherApiserver({ run, write }: Machine): void {
  const { status, output } = run("/bin/bash", "-c", makeCertificates);
  assert.equal(status, 0, output);
  write({
    "/etc/kubernetes/kubelet.conf": kubeconfig("10.9.8.7"),
    "/etc/blackstart/config.yaml": "probe: {network: 1s, deadline: 2s}\n",
  });
}

/** Gives the machine a kubelet's kubeconfig, and an apiserver of that cluster from early in its boot. */
export function startApiserver({ run, write }: Machine): void {
  const { status, output } = run("/bin/bash", "-c", makeCertificates);
  assert.equal(status, 0, output);
  write({
    "/etc/kubernetes/kubelet.conf": kubeconfig("127.0.0.1"),
    "/etc/systemd/system/apiserver.service": unit,
    "/etc/systemd/system/blackstart-restore.service.d/apiserver.conf":
      "[Unit]\nWants=apiserver.service\n",
  });
}
