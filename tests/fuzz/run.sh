#!/bin/sh
# Builds the fuzzers (preset fuzz) and runs each on its corpus and EXECUTIONS mutations of it:
#
#   tests/fuzz/run.sh EXECUTIONS [TARGET...]
#
# Prints a table and exits 1 if anything was found; the input that did it is named, and belongs, once
# the fault is mended, into tests/data/fuzz/TARGET. Corpora are those files and real small files of
# the project; what a run finds new is kept in build/fuzz/found and used again.
# MAYFLY_FUZZ_JOBS: fuzzers at a time, default: processors.
set -eu
cd "$(dirname "$0")/../.."
executions=${1:?how many executions each?}
shift
build=build/fuzz
jobs=${MAYFLY_FUZZ_JOBS:-$(nproc)}
command -v clang++-14 > /dev/null || { echo "skipped: no clang++-14 (apt-get install clang-14)"; exit 77; }

mkdir -p "$build"
cmake --preset fuzz ${MAYFLY_CACHE:+-DMAYFLY_CACHE="$MAYFLY_CACHE"} > "$build/configure.log" 2>&1 &&
  cmake --build --preset fuzz -j "$jobs" > "$build/build.log" 2>&1 ||
  { tail -n 30 "$build/configure.log" "$build/build.log" >&2; exit 1; }

# seeds TARGET FOLDER: real files of the project as inputs, beside the corpus that is kept.
seeds() {
  mkdir -p "$2"
  [ ! -d "tests/data/fuzz/$1" ] || cp -r "tests/data/fuzz/$1/." "$2/"
  case $1 in
    config) for f in configs/*.yaml configs/*/*.yaml tests/data/config/*; do [ ! -f "$f" ] || cp "$f" "$2/$(echo "$f" | tr / _)"; done ;;
    records) for f in configs/demo/*.jsonl; do head -n 3 "$f" > "$2/$(echo "$f" | tr / _)"; done ;;
    tokenizer) for f in tests/data/*/tokenizer.json; do [ "$(wc -c < "$f")" -gt 200000 ] || { printf '\005Hello'; cat "$f"; } > "$2/$(echo "$f" | tr / _)"; done ;;
  esac
}

# one TARGET: runs it; leaves "<target> <executions> <per second> <peak MB> <outcome>" in a file.
one() {
  target=$1
  work=$build/run/$target
  rm -rf "$work"
  mkdir -p "$work" "$build/found/$target"
  seeds "$target" "$work/seeds"
  status=0
  # A lie about 1 GB must not be believed: 512 MB and 5 s are the limits of one execution.
  ASAN_OPTIONS=allocator_may_return_null=0:detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 \
    "$build/bin/${target}_fuzz" -runs="$executions" -seed=1 -rss_limit_mb=512 -timeout=5 \
    -max_len=16384 -use_value_profile=0 -print_final_stats=1 -artifact_prefix="$work/" \
    "$build/found/$target" "$work/seeds" > "$work/log" 2>&1 || status=$?
  outcome=clean
  if [ "$status" != 0 ]; then
    found=$(find "$work" -maxdepth 1 \( -name 'crash-*' -o -name 'leak-*' -o -name 'timeout-*' -o -name 'oom-*' \) | head -n 1)
    outcome="FOUND: ${found:-$work/log}"
  fi
  stat() { sed -n "s/^stat::$1: *//p" "$work/log"; }
  printf '%-16s %12s %10s %8s  %s\n' "$target" "$(stat number_of_executed_units)" \
    "$(stat average_exec_per_sec)" "$(stat peak_rss_mb)" "$outcome" > "$build/run/$target.line"
}

if [ $# = 0 ]; then
  set -- $(sed -n 's/^mayfly_fuzzer(\([a-z_]*\) .*/\1/p' tests/fuzz/CMakeLists.txt)
fi
rm -rf "$build/run"
mkdir -p "$build/run"
running=0
for target in "$@"; do
  one "$target" &
  running=$((running + 1))
  if [ "$running" -ge "$jobs" ]; then wait; running=0; fi
done
wait
printf '%-16s %12s %10s %8s  %s\n' target executions 'a second' 'peak MB' outcome
cat "$build"/run/*.line
! grep -q FOUND "$build"/run/*.line
