#!/usr/bin/env bash
# scripts/bench.sh NAME [ARGS...]: runs a benchmark with its peers and writes
# docs/benchmarks/DATE-NAME.md and .json. Names are the folders of bench/.
set -euo pipefail
cd "$(dirname "$0")/.."

name=${1:-}
if [[ -z $name || ! -x bench/$name/run.sh ]]; then
  names=(bench/*/run.sh)
  names=("${names[@]#bench/}")
  echo "usage: scripts/bench.sh NAME [ARGS...], NAME one of: ${names[*]%/run.sh}; got \"$name\"" >&2
  exit 2
fi
shift
exec "bench/$name/run.sh" "$@"
