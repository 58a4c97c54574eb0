#!/usr/bin/env bash
# smoke.sh PROGRAM FINDINGS SEEDS...: what was found before must not be found again, then FUZZ_SECONDS (default 6) of
# search from the seeds, in a folder of its own.
set -euo pipefail
program=$1 findings=$2
shift 2
if compgen -G "$findings/*" >/dev/null; then "$program" "$findings"/*; fi
corpus=$(mktemp -d)
trap 'rm -rf "$corpus"' EXIT
cd "$corpus"
mkdir new
if ! "$program" -max_total_time="${FUZZ_SECONDS:-6}" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 new "$@" 2>log; then
  tail -40 log
  for input in crash-* oom-* timeout-*; do
    [ -e "$input" ] && cp "$input" "${TMPDIR:-/tmp}" && echo "the input is kept as ${TMPDIR:-/tmp}/$input"
  done
  exit 1
fi
grep -E "number_of_executed_units|cov:" log | tail -2
