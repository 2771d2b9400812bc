#!/usr/bin/env bash
# Fills a folder with the modules that Python in the sandbox may import beside the standard library:
# numpy for HumanEval+ and MBPP+, SymPy for MATH. Programs take it as packages=DIR.
#
#   scripts/sandbox_packages.sh DIR
set -euo pipefail
packages="numpy==2.2.6 sympy==1.14.0 mpmath==1.3.0 antlr4-python3-runtime==4.11.1"
case "${1:-}" in
  -h|--help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit 0 ;;
  ""|-*) echo "sandbox_packages: expected a folder or --help, got ${1:-nothing}" >&2; exit 2 ;;
esac
stamp=$1/.weft-stamp
if [ "$(cat "$stamp" 2>/dev/null)" = "$packages" ]; then
  echo "sandbox_packages: $1 is there"
  exit 0
fi
if [ -e "$1" ] && [ -n "$(ls -A "$1")" ] && [ ! -e "$stamp" ]; then
  echo "sandbox_packages: $1 holds something else; expected a new folder, or one that this script made" >&2
  exit 2
fi
python=/usr/bin/python3  # the sandbox's own
made=$(mktemp -d "${TMPDIR:-/tmp}/weft_packages.XXXXXX")
trap 'rm -rf "$made"' EXIT
"$python" -m venv "$made/venv"
# shellcheck disable=SC2086
"$made/venv/bin/pip" install -q --disable-pip-version-check --target "$made/packages" $packages
rm -rf "$made/packages/bin"
echo "$packages" > "$made/packages/.weft-stamp"
chmod -R a+rX "$made/packages"
rm -rf "$1"
mkdir -p "$(dirname "$1")"
mv "$made/packages" "$1"
echo "sandbox_packages: $packages in $1"
