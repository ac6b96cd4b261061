#!/bin/sh
# The boot fuse: ends the instance at a fixed time, whatever became of everything else.
#
#   fuse.sh arm SECONDS   from bootcmd, on every boot; the first one fixes the deadline, so that a
#                         reboot never extends the life of an instance
#   fuse.sh wait          local provider: sleeps until the deadline, then fires
#   fuse.sh fire REASON   ends the instance, asking again for ever
#
# MAYFLY_ROOT is set on the local provider, where this machine is the instance and systemd is not
# in charge of it. Elsewhere the waiting is done by a systemd timer: two unit files without default
# dependencies, started with --no-block, since bootcmd runs before sysinit.target and anything that
# waits for that target there hangs the boot.
set -u
D="${MAYFLY_ROOT:-}/opt/mayfly"

# Seconds since the machine's boot: no clock that somebody sets can move it.
uptime_seconds() { cut -d. -f1 /proc/uptime; }

arm_local() {
  echo $(($(uptime_seconds) + $1)) > "$D/fuse-deadline"
  sh "$D/fuse.sh" wait > /dev/null 2>&1 &
}

arm_systemd() {
  [ -s "$D/fuse-deadline" ] || echo $(($(date +%s) + $1)) > "$D/fuse-deadline"
  left=$(($(cat "$D/fuse-deadline") - $(date +%s)))
  [ "$left" -gt 0 ] || left=1
  cat > /etc/systemd/system/mayfly-fuse.service <<UNIT
[Unit]
Description=mayfly: the end of this instance
DefaultDependencies=no
[Service]
ExecStart=/bin/sh $D/fuse.sh fire deadline
UNIT
  cat > /etc/systemd/system/mayfly-fuse.timer <<UNIT
[Unit]
Description=mayfly: time until the end of this instance
DefaultDependencies=no
[Timer]
OnActiveSec=$left
AccuracySec=1s
[Install]
WantedBy=sysinit.target
UNIT
  systemctl daemon-reload
  systemctl enable mayfly-fuse.timer
  systemctl start --no-block mayfly-fuse.timer
}

wait_local() {
  while left=$(($(cat "$D/fuse-deadline") - $(uptime_seconds))); [ "$left" -gt 0 ]; do
    [ "$left" -le 60 ] || left=60
    sleep "$left"
  done
  fire deadline
}

fire() {
  echo "fuse: $1" >&2
  echo "$1" > "$D/fuse-fired" 2>/dev/null
  while :; do
    if [ -n "${MAYFLY_ROOT:-}" ]; then
      # Without the mark of the instance's own processes: this one must outlive them.
      env -u MAYFLY_INSTANCE_ID "$MAYFLY_HOST_PROGRAM" local-end --instance "$MAYFLY_INSTANCE_DIR"
    else
      systemctl poweroff --force
    fi
    sleep 20
  done
}

case "$1" in
  arm) if [ -n "${MAYFLY_ROOT:-}" ]; then arm_local "$2"; else arm_systemd "$2"; fi ;;
  wait) wait_local ;;
  fire) fire "$2" ;;
esac
