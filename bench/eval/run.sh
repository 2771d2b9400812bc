#!/usr/bin/env bash
# Scorers and the orchestration of evaluate. Arguments go to report.py; --help lists them. The peer,
# math-verify, lives in build/bench/eval and is fetched on the first run.
set -euo pipefail
cd "$(dirname "$0")/../.."

preset=${WEFT_PRESET:-release}
peers=build/bench/eval
if [[ ! -x build/$preset/bin/eval_bench || build/$preset/bin/weft_zygote -nt build/$preset/bin/eval_bench || -n ${WEFT_REBUILD:-} ]]; then
  cmake --preset "$preset" >/dev/null
  cmake --build --preset "$preset" --target eval_bench evaluate
fi
if [[ ! -e $peers/installed ]]; then
  /usr/bin/python3 -m venv "$peers/venv"
  "$peers/venv/bin/pip" install --quiet -r bench/eval/requirements.txt
  touch "$peers/installed"
fi
if [[ ! -d $peers/packages ]]; then scripts/sandbox_packages.sh "$peers/packages"; fi

exec "$peers/venv/bin/python" bench/eval/report.py --command "scripts/bench.sh eval $*" \
  --bin "build/$preset/bin" --packages "$peers/packages" "$@"
