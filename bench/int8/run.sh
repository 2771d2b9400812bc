#!/usr/bin/env bash
# int8 weights beside bf16 on the default model, in turn. Arguments go to report.py; --help
# lists them.
set -euo pipefail
cd "$(dirname "$0")/../.."

preset=${WEFT_PRESET:-release}
if [[ ! -x build/$preset/bin/int8_bench || -n ${WEFT_REBUILD:-} ]]; then
  cmake --preset "$preset" >/dev/null
  cmake --build --preset "$preset" --target int8_bench
fi

exec /usr/bin/python3 bench/int8/report.py --bin "build/$preset/bin" "$@"
