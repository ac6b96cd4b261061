#!/bin/sh
# A run on an attached host: a machine that is not ours, where one folder, R, is all that we have.
# Called as `sh -c "$(cat host.sh)" mayfly VERB R ID`: what it looks for is then not on its own command
# line, and it survives the end of the folder that it came from.
#
#   make    makes the folder; secrets get a folder of memory. Prints its path
#   state   since when, and how it is: `running`, `ending`, `failed` (was started, and nothing runs), `gone`
#   end     ends all that runs from there, and then removes the folder; in the background, after a moment
#           in which the agent writes its receipt
#
# This text comes on standard input as well.
# Nothing but that folder, its memory and its processes is ever touched. Needs sh, coreutils and grep.
set -u
umask 077
R="$2"
ID="$3"

# By a program or script of the folder on their command line, which everybody may read.
programs() { printf '%s/opt/mayfly/' "$R" | grep -slzF -f - /proc/[0-9]*/cmdline; }
# By the mark in their environment: what those have started. The agent hides its own.
marked() {
  printf 'MAYFLY_ROOT=%s\nMAYFLY_INSTANCE_ID=%s' "$R" "$ID" | grep -slzxF -f - /proc/[0-9]*/environ
}
ours() { { programs; marked; } | sed 's|^/proc/\([0-9]*\)/.*|\1|' | sort -u; }

make() {
  if [ ! -e "$R/created" ]; then
    memory=$(mktemp -d /dev/shm/mayfly.XXXXXXXX) || { echo "host: no memory for secrets" >&2; exit 1; }
    mkdir -p "$R/run" && ln -sfn "$memory" "$R/run/mayfly" && cat > "$R/host.sh" &&
      date +%s > "$R/created.new" && mv -f "$R/created.new" "$R/created" || exit 1
  fi
  echo "made $R"
}

state() {
  [ -d "$R" ] || { echo gone; exit; }
  echo "since $(cat "$R/created" 2> /dev/null)"
  if [ -e "$R/ending" ]; then echo ending
  elif [ ! -e "$R/opt/mayfly/times" ] || [ -n "$(programs)" ]; then echo running
  else echo failed; fi
}

finish() {
  sleep 3
  memory=$(readlink "$R/run/mayfly")
  for round in 1 2 3 4 5 6 7 8 9 10; do
    all=$(ours)
    [ -n "$all" ] || break
    kill -9 $all
    sleep 0.2
  done 2> /dev/null
  case "$memory" in /dev/shm/mayfly.*) rm -rf "$memory" ;; esac
  rm -rf "$R"
  rmdir "${R%/*}" 2> /dev/null
}

case "$1" in
  make) make ;;
  state) state ;;
  end)
    [ -d "$R" ] || exit 0
    : > "$R/ending" || exit 1
    [ -s "$R/host.sh" ] || cat > "$R/host.sh"
    env -u MAYFLY_ROOT -u MAYFLY_INSTANCE_ID setsid sh -c "$(cat "$R/host.sh")" mayfly finish "$R" "$ID" \
      > /dev/null 2>&1 < /dev/null &
    ;;
  finish) finish ;;
esac
