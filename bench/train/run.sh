#!/usr/bin/env bash
# The trainer beside transformers, peft and TRL, in the same run. Arguments go to report.py; --help
# lists them. The peers live in build/bench/train and are fetched on the first run.
set -euo pipefail
cd "$(dirname "$0")/../.."
. bench/peers_venv.sh

preset=${WEFT_PRESET:-release}
peers=build/bench/train
if [[ ! -x build/$preset/bin/train_bench || -n ${WEFT_REBUILD:-} ]]; then
  targets=(train_bench)
  # Without libbenchmark-dev the report has no share of the machine's best product.
  if [[ -e /usr/include/benchmark/benchmark.h ]]; then targets+=(roofline_bench); fi
  cmake --preset "$preset" >/dev/null
  cmake --build --preset "$preset" --target "${targets[@]}"
fi

make_peers_venv "$peers" bench/train/requirements.txt

exec "$peers/venv/bin/python" bench/train/report.py --command "scripts/bench.sh train $*" \
  --bin "build/$preset/bin" "$@"
