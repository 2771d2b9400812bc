#!/usr/bin/env bash
# scripts/gpu_check.sh pack [--build DIR] [--out DIR]: makes build/gpu_bundle, which checks and
# measures engine and trainer on a machine with a GPU: stripped programs, the libraries they need beyond
# LibTorch and glibc, fixtures, and run.sh (see scripts/gpu_run.sh). --build names a build folder
# whose programs are there already; else those of the preset "test" are built.
set -euo pipefail
cd "$(dirname "$0")/.."

most_kib=$((40 * 1024))
programs=(gpu_check device_gpu_tests ops_gpu_tests learn_on_device_gpu_tests engine_gpu_tests generate)
fixtures=(tiny_llama tiny_qwen2 tiny_qwen3 tiny_mistral)
# Libraries that the other machine has: glibc, and what comes with PyTorch.
theirs='^(ld-linux.*|lib(c|m|dl|rt|util|pthread|resolv)\.so.*|lib(torch|c10)[a-z_0-9]*\.so|libcudart\.so.*|libgomp\.so.*)$'

fail() {
  echo "gpu_check.sh: $1" >&2
  exit "$2"
}
usage="usage: scripts/gpu_check.sh pack [--build DIR] [--out DIR]"

[[ ${1:-} == pack ]] || fail "$usage" 2
shift
build= bundle=build/gpu_bundle
while (($#)); do
  case $1 in
    --build) build=${2:?$usage} ;;
    --out) bundle=${2:?$usage} ;;
    *) fail "$usage" 2 ;;
  esac
  shift 2
done
if [[ -z $build ]]; then
  build=build/test
  cmake --preset test >/dev/null
  cmake --build "$build" --target "${programs[@]}" weft_cuda
fi
[[ -e $build/bin/libweft_cuda.so ]] || fail "$build/bin has no libweft_cuda.so: is nvcc there?" 1

rm -rf "$bundle"
mkdir -p "$bundle/bin" "$bundle/lib" "$bundle/tests/fixtures"
no_rpath=$(mktemp)
trap 'rm -f "$no_rpath"' EXIT
for name in "${programs[@]}" libweft_cuda.so; do
  strip -o "$bundle/bin/$name" "$build/bin/$name"
  printf 'file(RPATH_REMOVE FILE "%s")\n' "$(realpath "$bundle/bin/$name")" >"$no_rpath"
  cmake -P "$no_rpath"
done
for name in "${programs[@]}"; do
  ldd "$build/bin/$name" | awk '$2 == "=>" && $3 ~ "^/" {print $1, $3}'
done | sort -u | while read -r name path; do
  [[ $name =~ $theirs || $path == */torch/lib/* ]] || strip -o "$bundle/lib/$name" "$(realpath "$path")"
done
for name in "${fixtures[@]}"; do cp -r "tests/fixtures/$name" "$bundle/tests/fixtures/"; done
install -m 755 scripts/gpu_run.sh "$bundle/run.sh"

for file in "$bundle"/bin/* "$bundle"/lib/*; do
  for needed in $(readelf -d "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
    [[ $needed =~ $theirs || -e $bundle/lib/$needed ]] || fail "$file needs $needed" 1
  done
done
kib=$(du -sk "$bundle" | cut -f1)
((kib <= most_kib)) || fail "$bundle: expected at most $most_kib KiB, got $kib" 1
echo "$bundle: $kib KiB, $(ls "$bundle/lib" | wc -l) libraries beside LibTorch and glibc"
