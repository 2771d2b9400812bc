#!/usr/bin/env bash
# run.sh --out DIR: runs every GPU check and benchmark of this bundle within 9 minutes and writes
# DIR/gpu_report.json. Needs a GPU and PyTorch 2.11+cu130: its folder in TORCH_DIR, or found through
# python3. Exit 0: all checks hold; 1: some do not, the report names them; 2: nothing could be run,
# the report says why.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=
while (($#)); do
  [[ $1 == --out && -n ${2:-} ]] || break
  out=$2
  shift 2
done
if [[ -z $out || $# -gt 0 ]]; then
  echo "usage: run.sh --out DIR" >&2
  exit 2
fi
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 2
report=$out/gpu_report.json

give_up() {
  printf '{"ok": false, "gpu": null, "reason": "%s"}\n' "${1//[\"\\]/}" >"$report"
  echo "run.sh: $1" >&2
  exit 2
}

find_torch='import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])'
torch=${TORCH_DIR:-$(python3 -c "$find_torch" 2>/dev/null)}
[[ -e $torch/lib/libtorch_cuda.so ]] ||
  give_up "expected PyTorch 2.11+cu130 in TORCH_DIR or through python3, got ${torch:-nothing}"
grep -q "__version__ = '2\.11\." "$torch/version.py" ||
  give_up "expected PyTorch 2.11, $torch holds another version"
export LD_LIBRARY_PATH=$here/lib:$torch/lib:$torch/../nvidia/cu13/lib
export WEFT_SOURCE_DIR=$here  # where the tests look for tests/fixtures

# Loading LibTorch from a cold disk alone may take most of a minute.
rm -f "$report"
if ! timeout -k 5 60 "$here/bin/gpu_check" --set probe=true --out "$report"; then
  [[ -e $report ]] || give_up "gpu_check did not start"
  exit 2
fi

tests=()
for name in device_gpu_tests ops_gpu_tests engine_gpu_tests learn_on_device_gpu_tests; do
  timeout -k 5 45 "$here/bin/$name" --gtest_output="json:$out/$name.json" >"$out/$name.log" 2>&1
  echo "$name: exit $?" >&2
  tests+=("\"$out/$name.json\"")
done
list=$(IFS=,; echo "[${tests[*]}]")
timeout -k 5 280 "$here/bin/gpu_check" --set time_s=220 --set "test_reports=$list" \
  --set "model=$here/tests/fixtures/tiny_llama" --out "$report"
