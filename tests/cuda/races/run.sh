#!/usr/bin/env bash
# Runs the program given. GCC 12's ThreadSanitizer cannot start where the kernel spreads addresses
# wider than it knows; then again without that, and where that is not allowed the test is skipped.
set -uo pipefail
output=$("$@" 2>&1)
status=$?
if [[ $output == *"unexpected memory mapping"* ]]; then
  output=$(setarch "$(uname -m)" --addr-no-randomize "$@" 2>&1)
  status=$?
  if [[ $output == *"unexpected memory mapping"* || $output == *setarch:* ]]; then
    echo "skipped: ThreadSanitizer cannot start with this machine's address layout"
    exit 77
  fi
fi
printf '%s\n' "$output"
exit $status
