#!/usr/bin/env bash
# Runs every test that needs no GPU and no hour: format check, the rooms without LibTorch under
# ASan + UBSan and the threaded ones under TSan, then the whole suite. Prints what each step took; the
# last one's time is in CTest's summary, with which this closes.
set -euo pipefail
cd "$(dirname "$0")/.."

labels='unit|parity|e2e|hostile'
jobs=$(nproc)

# step NAME: prints what the step before it took, and begins this one.
name="" begun=0 times=""
step() {
  if [ -n "$name" ]; then
    printf -v took '%4d:%02d  %s' $(((SECONDS - begun) / 60)) $(((SECONDS - begun) % 60)) "$name"
    times+="$took"$'\n'
    echo "took $took"
  fi
  name=$1 begun=$SECONDS
  printf '\n== %s\n' "$name"
}

step "set-up"
scripts/bootstrap.sh --tests

step "format"
mapfile -t sources < <(find base bench data model net sandbox serve tests trainer workflow \
  -name '*.h' -o -name '*.cpp' -o -name '*.cu')
clang-format --dry-run -Werror "${sources[@]}"
echo "clang-format: ${#sources[@]} files as they should be"

step "build"
cmake --preset test >/dev/null
cmake --build --preset test

step "address and undefined-behaviour sanitizers: rooms without LibTorch"
cmake --preset asan >/dev/null
cmake --build --preset asan --target unit_tests
ctest --preset asan -L unit -j "$jobs" --output-on-failure

step "thread sanitizer: rooms with threads"
cmake --preset tsan >/dev/null
cmake --build --preset tsan --target threaded_tests
ctest --preset tsan -L threaded -j "$jobs" --output-on-failure

step "left out here"
for label in slow gpu; do
  ctest --preset test -N -L "^$label\$" | sed -n "s/^Total Tests: /$label tests left out: /p"
  ctest --preset test -N -L "^$label\$" | sed -n 's/^ *Test *#[0-9]*: /  /p'
done

step "all tests of the labels $labels"
printf 'min:s by step so far\n%s%4d:%02d  in all\n' "$times" $((SECONDS / 60)) $((SECONDS % 60))
ctest --preset test -L "$labels" -j "$jobs" --output-on-failure
