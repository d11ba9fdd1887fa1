#!/bin/sh
# Makes the certificates that the peers' TLS tests use; they are checked in and live for a hundred years. They guard nothing.
set -eu
cd "$(dirname "$0")"
DAYS=36500
authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days "$DAYS" -subj "/CN=$1" -keyout "$1.key" -out "$1.crt"
}
node() { # file, node name, authority, days from now until which it is good
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$2" -keyout "$1.key" -out "$1.csr"
  printf 'subjectAltName=DNS:%s\n' "$2" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA "$3.crt" -CAkey "$3.key" -CAcreateserial -days "$DAYS" -extfile "$1.ext" -out "$1.crt"
}
authority ca
authority other-ca
node n1 n1 ca
node n2 n2 ca
node n3 n3 ca
node stranger n2 other-ca
rm -f ./*.csr ./*.ext ./*.srl ca.key other-ca.key
