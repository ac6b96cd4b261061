#!/usr/bin/env bash
# Runs the program given in six parts, since ThreadSanitizer keeps what it mapped for a thread. GCC
# 12's cannot start where the kernel spreads addresses wider than it knows; then again without that,
# and where that is not allowed the test is skipped.
set -uo pipefail
parts=6
export GTEST_TOTAL_SHARDS=$parts
before=()
if [[ $(GTEST_SHARD_INDEX=0 "$@" --gtest_list_tests 2>&1) == *"unexpected memory mapping"* ]]; then
  before=(setarch "$(uname -m)" --addr-no-randomize)
  if ! GTEST_SHARD_INDEX=0 "${before[@]}" "$@" --gtest_list_tests >/dev/null 2>&1; then
    echo "skipped: ThreadSanitizer cannot start with this machine's address layout"
    exit 77
  fi
fi
# Its exit code says nothing: that of ThreadSanitizer is switched off for the planted races, and so
# is that of its own death.
failed=0
for ((part = 0; part < parts; ++part)); do
  output=$(GTEST_SHARD_INDEX=$part "${before[@]}" "$@" 2>&1) || failed=1
  printf '%s\n' "$output" | grep -aE '^\[|Failure|Expected|ThreadSanitizer: [^d]'
  grep -qaE '^\[  (PASSED|SKIPPED) ' <<<"$output" || failed=1
done
exit $failed
