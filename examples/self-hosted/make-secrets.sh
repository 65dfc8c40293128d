#!/usr/bin/env bash
# Prints secrets.yaml with new keys: `bash make-secrets.sh > secrets.yaml`. Needs openssl; keys are on a tmpfs only
# where $TMPDIR is one. Certificates are for 127.0.0.1 and the Service's address, and last DAYS days (3650).
set -euo pipefail
days=${1:-3650}
umask 077
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

# ca NAME: NAME.crt, NAME.key
ca() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days "$days" -subj "/CN=$1" \
    -addext keyUsage=critical,digitalSignature,keyCertSign -keyout "$1.key" -out "$1.crt" 2>/dev/null
}

# cert CA NAME SUBJECT USAGE [SAN]: NAME.crt, NAME.key
cert() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "$3" \
    -keyout "$2.key" -out "$2.csr" 2>/dev/null
  {
    echo "extendedKeyUsage=$4"
    [[ -z ${5-} ]] || echo "subjectAltName=$5"
  } > "$2.ext"
  openssl x509 -req -in "$2.csr" -CA "$1.crt" -CAkey "$1.key" -CAcreateserial -days "$days" \
    -extfile "$2.ext" -out "$2.crt" 2>/dev/null
}

# secret NAME KEY=FILE…
secret() {
  printf -- '---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\n  namespace: kube-system\ntype: Opaque\ndata:\n' "$1"
  shift
  local pair
  for pair; do
    printf '  %s: %s\n' "${pair%%=*}" "$(base64 -w0 < "${pair#*=}")"
  done
}

local_names=IP:127.0.0.1,DNS:localhost
api_names=$local_names,IP:10.96.0.1,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc

ca kubernetes
ca etcd
ca aggregation
cert etcd etcd-server /CN=etcd serverAuth,clientAuth "$local_names"
cert etcd etcd-peer /CN=etcd serverAuth,clientAuth "$local_names"
cert etcd etcd-client /CN=kube-apiserver clientAuth
cert aggregation aggregation-client /CN=front-proxy-client clientAuth
cert kubernetes apiserver /CN=kube-apiserver serverAuth "$api_names"
cert kubernetes kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client clientAuth
cert kubernetes controller-manager /CN=system:kube-controller-manager clientAuth
cert kubernetes scheduler /CN=system:kube-scheduler clientAuth
openssl genrsa -traditional -out account.key 2048 2>/dev/null
openssl rsa -in account.key -pubout -out account.pub 2>/dev/null
openssl rand -hex 16 | tr -d '\n' > password
printf 51 > routerid

cat <<'EOF'
# Keys, certificates and passwords of the control plane. Those that are committed here are for trying this out only:
# everybody has them. make-secrets.sh prints new ones.
EOF
secret etcd-tls ca.crt=etcd.crt server.crt=etcd-server.crt server.key=etcd-server.key \
  peer.crt=etcd-peer.crt peer.key=etcd-peer.key
secret kube-apiserver ca.crt=kubernetes.crt apiserver.crt=apiserver.crt apiserver.key=apiserver.key \
  etcd-client-ca.crt=etcd.crt etcd-client.crt=etcd-client.crt etcd-client.key=etcd-client.key \
  aggregation-ca.crt=aggregation.crt aggregation-client.crt=aggregation-client.crt \
  aggregation-client.key=aggregation-client.key apiserver-kubelet-client.crt=kubelet-client.crt \
  apiserver-kubelet-client.key=kubelet-client.key service-account.key=account.key service-account.pub=account.pub
secret kube-controller-manager ca.crt=kubernetes.crt ca.key=kubernetes.key client.crt=controller-manager.crt \
  client.key=controller-manager.key service-account.key=account.key
secret kube-scheduler ca.crt=kubernetes.crt client.crt=scheduler.crt client.key=scheduler.key
secret kube-vip-auth password=password routerid=routerid
