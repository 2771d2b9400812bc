#!/usr/bin/env bash
# The trainer beside transformers, peft and TRL, in the same run. Arguments go to report.py; --help
# lists them. The peers live in build/bench/train and are fetched on the first run.
set -euo pipefail
cd "$(dirname "$0")/../.."

preset=${WEFT_PRESET:-release}
peers=build/bench/train
if [[ ! -x build/$preset/bin/train_bench || -n ${WEFT_REBUILD:-} ]]; then
  cmake --preset "$preset" >/dev/null
  cmake --build --preset "$preset" --target train_bench roofline_bench
fi

# The Python side of the LibTorch that is there already; pip adds what it needs beside it.
if [[ ! -e $peers/installed ]]; then
  torch=${WEFT_TORCH_DIR:-$PWD/.venv/lib/python3.11/site-packages/torch}
  /usr/bin/python3 -m venv "$peers/venv"
  for folder in "$peers"/venv/lib/python3*/site-packages; do
    dirname "$torch" > "$folder/weft_torch.pth"
  done
  "$peers/venv/bin/pip" install --quiet -r bench/train/requirements.txt
  touch "$peers/installed"
fi

exec "$peers/venv/bin/python" bench/train/report.py --command "scripts/bench.sh train $*" \
  --bin "build/$preset/bin" "$@"
