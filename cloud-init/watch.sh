#!/bin/sh
# The watchdog (layer 4): saves the newest adapter and ends the instance when the agent does not.
#
#   watch.sh look    every LOOK seconds, by mayfly-watchdog.timer: judges the heartbeat
#   watch.sh rescue  mayfly-rescue.service: uploads what is complete and not on the hub, destroys
#   watch.sh watch   provider local: a process in place of timer and service
#
# The heartbeat is a line of $M/heartbeat: boot id, seconds since boot, the agent's process number,
# that process's start, the agent's own last moment (seconds since boot). Never the time of the
# file: a clock that jumps would make a live agent look dead, or a dead one alive.
set -u
R="${MAYFLY_ROOT:-}"
D="$R/opt/mayfly"
M="$R/run/mayfly"
S="$R/var/lib/mayfly"
managed() { [ -z "$R" ] && [ -d /run/systemd/system ]; }
. "$D/times"

number() { case "$1" in '' | *[!0-9]* | ?????????????*) return 1 ;; esac; }
uptime_seconds() { cut -d. -f1 /proc/uptime; }

read_heartbeat() {
  now=$(uptime_seconds)
  boot= beat= pid= start=
  { read -r boot beat pid start end rest < "$M/heartbeat"; } 2> /dev/null
  [ "$boot" = "$(cat /proc/sys/kernel/random/boot_id)" ] && number "$beat" && number "$pid" && number "$start"
}
is_alive() { [ "$(sed 's/.*) //' "/proc/$pid/stat" 2> /dev/null | cut -d' ' -f20)" = "$start" ]; }

# A name server that fails later must not keep the destroy request from going out.
remember_address() {
  set -- $(sed -n 's/^# host \([A-Za-z0-9.-]*\) \([0-9]*\)$/\1 \2/p' "$S/destroy.curl" 2> /dev/null)
  [ $# = 2 ] || return 0
  address=$(timeout 10 getent hosts "$1" | cut -d' ' -f1 | head -n 1)
  [ -z "$address" ] || echo "$1:$2:$address" > "$M/destroy.address"
} 2> /dev/null

# Without an agent that has been ready, the fuse's own deadline for the start is what counts.
look() {
  [ ! -e "$M/rescue" ] || return 0
  if [ ! -e "$M/ready" ]; then
    if ! managed && read_heartbeat; then sh "$D/fuse.sh" ready; fi
    return 0
  fi
  remember_address
  left=$(sh "$D/fuse.sh" left)
  # The agent's hard deadline is BEHIND before the fuse's.
  if number "${left#-}" && [ "$left" -le $((BEHIND - LATE)) ]; then
    take_over "the agent let the last deadline pass"
  fi
  if read_heartbeat; then
    [ $((now - beat)) -le "$SILENT" ] || take_over "no heartbeat for $((now - beat)) s"
    is_alive && return
    # The next life of an agent comes within a second or two.
    sleep 3
    read_heartbeat && is_alive || take_over "the agent is dead and does not come back"
  else
    read -r since < "$M/ready"
    [ $((now - since)) -le "$SILENT" ] || take_over "the heartbeat is lost"
  fi
}

take_over() {
  echo "watchdog: $1"
  echo "$1" > "$M/rescue"
  if managed; then
    timeout 20 systemctl start --no-block mayfly-rescue.service && exit
  fi
  rescue
}

# In the order: nobody else acts, the work is saved, the instance ends.
rescue() {
  reason=$(cat "$M/rescue" 2> /dev/null) || reason="the agent could not be kept running"
  echo "$reason" > "$M/rescue"
  echo "rescue: $reason"
  unit=
  if managed; then
    unit="--trainer-unit mayfly-trainer.service"
    timeout 5 systemctl show --property=Result,ExecMainStatus mayfly-agent.service
  fi
  # Before systemd stops it, which would wake up one that is stopped.
  if read_heartbeat && is_alive; then kill -9 "$pid"; fi
  if managed; then timeout 20 systemctl stop mayfly-agent.service; fi
  timeout -k 5 "$RESCUE" "$D/bin/agent" rescue --plan "$D/plan.json" \
    --secrets "$M/secrets.json" $unit || echo "rescue: nothing was saved"
  exec sh "$D/fuse.sh" fire "$reason"
}

watch() {
  while :; do
    sh "$D/watch.sh" look
    sleep "$LOOK"
  done
}

case "$1" in
  look) look ;;
  rescue) rescue ;;
  watch) watch ;;
esac
