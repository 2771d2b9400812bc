#!/usr/bin/env bash
# Sets up what building and running Weft needs on Debian 12 (or a close relative): system packages,
# LibTorch in .venv/, the default model in models/. Idempotent; a second run takes about a second.
#
#   scripts/bootstrap.sh            for users
#   scripts/bootstrap.sh --tests    adds what only the tests need
#
# As root it installs missing packages; otherwise it names them in one line and stops.
set -euo pipefail
case "${1:-}" in
  -h|--help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit 0 ;;
  ""|--tests) ;;
  *) echo "bootstrap: expected --tests, --help or nothing, got $1" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."

torch_version=2.11.0
cuda_packages="nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85"
# The converter's own first lines say what it needs.
convert_packages=$(sed -n 's/^ *\.venv-convert\/bin\/pip install //p' scripts/fetch_default_model.py)
# What the sandbox may import is pinned in one place.
test_packages="openai==2.8.1 datasets==5.2.0 $(sed -n 's/^packages="\(.*\)"$/\1/p' scripts/sandbox_packages.sh)"
model=models/SmolLM2-135M-Instruct
python=/usr/bin/python3

packages="g++ cmake ninja-build pkg-config ccache lld ca-certificates git
  python3 python3-venv libpython3-dev nlohmann-json3-dev libspdlog-dev libfmt-dev libcli11-dev
  libboost1.81-dev libcurl4-openssl-dev libssl-dev libsqlite3-dev libpcre2-dev
  libutf8proc-dev zlib1g-dev
  libsentencepiece-dev libseccomp-dev libjs-chart.js"
want_tests=no
if [ "${1:-}" = --tests ]; then
  want_tests=yes
  packages="$packages clang-format libcpp-httplib-dev libgtest-dev libgmock-dev libbenchmark-dev"
fi

say() { printf 'bootstrap: %s\n' "$*"; }

install_packages() {
  local missing="" name
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    # shellcheck disable=SC2086
    echo "bootstrap: this system has no apt: Debian 12 or Ubuntu are known to work, elsewhere install what these packages hold, then run cmake:" $packages >&2
    exit 2
  fi
  for name in $packages; do
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing="$missing $name"
  done
  [ -z "$missing" ] && { say "system packages: all there"; return; }
  if [ "$(id -u)" -ne 0 ]; then
    echo "bootstrap: missing packages; as root run: apt-get update && apt-get install -y --no-install-recommends$missing" >&2
    exit 2
  fi
  say "installing system packages:$missing"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # shellcheck disable=SC2086
  apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

# make_venv DIR WHAT PIP-ARGUMENTS...: a virtual environment that holds just these packages; a stamp
# of the arguments tells whether it is the right one already.
make_venv() {
  local dir=$1 what=$2
  shift 2
  if [ "$(cat "$dir/.weft-stamp" 2>/dev/null)" = "$*" ]; then
    say "$what: $dir is there"
    return
  fi
  say "$what: installing $* into $dir"
  rm -rf "$dir"
  "$python" -m venv "$dir"
  "$dir/bin/pip" install -q --disable-pip-version-check "$@"
  echo "$*" > "$dir/.weft-stamp"
}

install_torch() {
  if [ -n "${WEFT_TORCH_DIR:-}" ]; then
    say "LibTorch: using WEFT_TORCH_DIR=$WEFT_TORCH_DIR"
  elif command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi >/dev/null 2>&1; then
    make_venv .venv "LibTorch with CUDA" "torch==$torch_version"
  else
    # Without a GPU libtorch_cpu.so needs only these two of the CUDA libraries.
    # shellcheck disable=SC2086
    make_venv .venv "LibTorch, CPU only" --no-deps "torch==$torch_version" $cuda_packages
  fi
}

fetch_model() {
  if "$python" scripts/fetch_default_model.py "$model" --check; then
    "$python" scripts/fetch_default_model.py "$model"  # adds the label that an older one lacks
    return
  fi
  # shellcheck disable=SC2086
  make_venv .venv-convert "model converter" $convert_packages
  .venv-convert/bin/python scripts/fetch_default_model.py "$model"
}

# The sandbox needs user namespaces, or root. Said before the build, not after it.
check_namespaces() {
  if unshare --user --map-root-user --pid --net --fork true 2>/dev/null ||
    unshare --pid --net --fork true 2>/dev/null; then
    say "namespaces for the sandbox: there"
    return
  fi
  say "warning: this machine gives no namespaces, without which the sandbox does not start:" \
    "allow user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone)" \
    "or, in a container, a seccomp profile that permits unshare; docs/sandbox.md, Tiers"
}

install_packages
check_namespaces
install_torch
fetch_model
if [ "$want_tests" = yes ]; then
  # shellcheck disable=SC2086
  make_venv .venv-test "test clients" $test_packages
fi
say "done"
