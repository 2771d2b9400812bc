#!/usr/bin/env bash
# The main job, on real input from end to end: search for workflows, distil them into the default
# model, reinforce it, evaluate it beside the baselines, serve it and ask it one query.
#
#   scripts/quickstart.sh [--seed N] [--out DIR] [--config FILE] [--controls] [--help]
#
# Leaves DIR/{search,search_task_level,sft,grpo,evaluate}/, DIR/report.json and DIR/report.html (DIR:
# runs/quickstart). search looks for a workflow for each training task, search_task_level for the best
# single one, on the validation tasks.
# Interrupted, it goes on where it was when it is called again. --controls adds the negative control:
# the same reinforcement with rewards permuted within each batch. WEFT_PROGRAM_DIR=DIR takes the
# programs from there instead of building them.
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")/.."

usage() { sed -n '2,/^set /{s/^# \{0,1\}//p}' scripts/quickstart.sh; }
refuse() { echo "quickstart: $*" >&2; exit 2; }
absolute() { case $1 in /*) echo "$1" ;; *) echo "$called_from/$1" ;; esac; }

seed=1 out=runs/quickstart config=configs/quickstart.json controls=no
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --controls) controls=yes; shift; continue ;;
    --seed | --out | --config) [ $# -ge 2 ] || refuse "$1 wants a value, see --help" ;;
    *) refuse "unknown argument $1, see --help" ;;
  esac
  case $1 in
    --seed) seed=$2 ;;
    --out) out=$(absolute "$2") ;;
    --config) config=$(absolute "$2") ;;
  esac
  shift 2
done
[ -r "$config" ] || refuse "cannot read the config $config"

bin=build/release/bin
[ -z "${WEFT_PROGRAM_DIR:-}" ] || bin=$(absolute "$WEFT_PROGRAM_DIR")
say() { printf '\n== %s\n' "$*" >&2; }

# run COMMAND...: as a child that a signal to this script ends, and that this script waits for.
child="" stopped=""
stop() {
  stopped=$1
  [ -z "$child" ] || kill -TERM "$child" 2>/dev/null || true
}
trap 'stop 130' INT
trap 'stop 143' TERM
run() {
  local code
  "$@" &
  child=$!
  while :; do
    code=0
    wait "$child" || code=$?
    kill -0 "$child" 2>/dev/null || break
  done
  child=""
  if [ -n "$stopped" ]; then
    say "stopped; call it again to go on"
    exit "$stopped"
  fi
  return "$code"
}

if [ -z "${WEFT_PROGRAM_DIR:-}" ]; then
  say "set-up and build"
  scripts/bootstrap.sh
  cmake --preset release >/dev/null
  cmake --build --preset release
fi
mkdir -p "$out"
# What was done for another seed or config is not this run's.
wanted="seed $seed, config $(sha256sum < "$config" | cut -c1-16)"
if [ -f "$out/.arguments" ] && [ "$(cat "$out/.arguments")" != "$wanted" ]; then
  refuse "$out holds a run of $(cat "$out/.arguments"), not of $wanted; choose another --out"
fi
echo "$wanted" > "$out/.arguments"

# stage NAME PROGRAM ARGUMENTS...: runs a program of the line in DIR/NAME unless it has finished
# before; goes on with --resume where an earlier call was interrupted; keeps what it took.
stage() {
  local name=$1 program=$2 resume=""
  shift 2
  if [ -f "$out/.$name.done" ]; then
    say "$name: done before"
    return
  fi
  say "$name"
  [ -f "$out/$name/config.json" ] && resume=--resume
  # shellcheck disable=SC2086
  run /usr/bin/python3 scripts/measure.py "$out/.$name.measured" \
    "$bin/$program" --config "$config" --out "$out/$name" --set "seed=$seed" $resume "$@"
  touch "$out/.$name.done"
}

stage search sample_workflows
stage search_task_level sample_workflows --section search_task_level
stage sft train_sft --set "data.store=$out/search/store.sqlite"
stage grpo train_grpo --set "init_adapter=$out/sft/final"
if [ "$controls" = yes ]; then
  stage control train_grpo --set "init_adapter=$out/sft/final" --set control.permute_rewards=true
fi
stage evaluate evaluate \
  --set "methods=[\"io\",\"io_greedy\",\"cot\",\"cot_greedy\",\"cot_sc\",\"best_fixed=workflow:$out/search_task_level/best_workflow.py\",\"sft=meta:$out/sft/final\",\"grpo=meta:$out/grpo/final\",\"other_query=shuffled:grpo\"]" \
  --set "curves=[\"sft=$out/sft/metrics.jsonl\",\"grpo=$out/grpo/metrics.jsonl\"]"

say "serve"
served=0
run /usr/bin/python3 scripts/ask_server.py "$out" "$bin/serve" --config "$config" \
  --set "adapter=$out/grpo/final" || served=$?
[ "$served" -eq 0 ] || echo "quickstart: the server did not answer, see $out/serve.log" >&2

WEFT_PROGRAM_DIR=$bin /usr/bin/python3 scripts/quickstart_report.py "$out" "$bin/serve" "$config"
exit "$served"
