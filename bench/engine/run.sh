#!/usr/bin/env bash
# The engine beside transformers, and the tokenizers beside the package of that name, in the same run.
# Arguments go to report.py; --help lists them. The peers live in build/bench/engine and are fetched
# on the first run (about 3 GB: PyTorch's CUDA libraries, without which its Python part does not
# start). With WEFT_BENCH_LLAMA=1 llama.cpp is built, too, which takes many minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
. bench/peers_venv.sh

preset=${WEFT_PRESET:-release}
peers=build/bench/engine
if [[ ! -x build/$preset/bin/engine_bench || -n ${WEFT_REBUILD:-} ]]; then
  if [[ ! -e /usr/include/benchmark/benchmark.h ]]; then
    echo "bench: missing libbenchmark-dev; scripts/bootstrap.sh --tests installs it" >&2
    exit 2
  fi
  cmake --preset "$preset" >/dev/null
  cmake --build --preset "$preset" --target engine_bench roofline_bench tokenizer_bench
fi

make_peers_venv "$peers" bench/engine/requirements.txt
gguf=$peers/SmolLM2-135M-Instruct.bf16.gguf
if [[ ! -e $gguf && -n ${WEFT_BENCH_LLAMA:-} ]]; then
  "$peers/venv/bin/pip" install --quiet llama-cpp-python==0.3.36
  "$peers/venv/bin/python" bench/engine/peers.py make_gguf "$gguf"
fi
llama=()
if [[ -e $gguf ]]; then llama=(--gguf "$gguf"); fi

exec "$peers/venv/bin/python" bench/engine/report.py --command "scripts/bench.sh engine $*" \
  --bin "build/$preset/bin" --scratch "$peers" "${llama[@]}" "$@"
