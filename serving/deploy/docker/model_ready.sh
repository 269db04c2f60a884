#!/usr/bin/env bash
# Succeeds if a version of a model is AVAILABLE: model_ready MODEL [PORT] [HOST]
#
# The status page answers 200 in every state, so its text must be read. TensorFlow Serving's image has no curl, so bash
# opens the connection itself.
set -euo pipefail

model="$1"
port="${2:-8501}"
host="${3:-127.0.0.1}"

ask() {
  exec 3<>"/dev/tcp/${host}/${port}"
  printf 'GET /v1/models/%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "${model}" "${host}" >&3
  grep -q '"state": "AVAILABLE"' <&3
}

export -f ask
export model port host
exec timeout 5 bash -c ask
