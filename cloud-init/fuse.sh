#!/bin/sh
# The boot fuse (layer 5): ends the instance at a fixed age, whatever became of everything else.
#
#   fuse.sh arm          from bootcmd, on every boot, before anything is downloaded
#   fuse.sh check        every TICK seconds, by a timer of its own: fires when the time has come
#   fuse.sh ready        the agent works: from now on only the last deadline counts
#   fuse.sh left         prints the seconds until the last deadline
#   fuse.sh wait         provider local: a process in place of the timer
#   fuse.sh fire REASON  ends the instance, asking again for ever
#
# Nothing is re-armed: two deadlines are compared at every tick. The start's (START seconds after
# this boot) counts until the agent has said READY; the last one (FUSE seconds of life, over all
# boots) counts always. Life is counted by the clock since boot, which nobody can set. It is saved
# at every tick, so that a reboot goes on from there; what passed while the machine was down is
# taken from the wall clock when that says something sensible (0 to 15 minutes), else as a minute.
# So no clock that jumps shortens or lengthens the life of an instance.
#
# Needs sh, coreutils and curl; writes nothing that it could not do without. MAYFLY_ROOT is set where
# a folder stands for the machine (provider local, an attached host). There, and in a container that
# has no systemd, a process takes the place of the timer.
set -u
R="${MAYFLY_ROOT:-}"
managed() { [ -z "$R" ] && [ -d /run/systemd/system ]; }
D="$R/opt/mayfly"      # scripts and what must survive a reboot
M="$R/run/mayfly"      # memory: this boot only
S="$R/var/lib/mayfly"  # the agent's; the destroy request is there
. "$D/times"

number() { case "$1" in '' | *[!0-9]* | ?????????????*) return 1 ;; esac; }
# Seconds since the machine's boot: no clock that somebody sets can move it.
uptime_seconds() { cut -d. -f1 /proc/uptime; }
# A reader sees the old file or the new one; a disk that is full keeps the old one.
put() { printf '%s\n' "$2" > "$1.new" && mv -f "$1.new" "$1"; } 2> /dev/null

# How long this instance has lived: in `lived`.
count_life() {
  up=$(uptime_seconds); wall=$(date +%s); boot=$(cat /proc/sys/kernel/random/boot_id)
  lived=0
  for f in "$M/life" "$D/life"; do
    { read -r b u l w < "$f"; } 2> /dev/null || continue
    number "$u" && number "$l" && number "$w" || continue
    if [ "$b" = "$boot" ]; then
      lived=$((l + up - u))
    else
      gap=$((wall - w))
      if [ "$gap" -ge "$up" ] && [ "$gap" -le $((up + 900)) ]; then
        lived=$((l + gap))
      else
        lived=$((l + up + 60))
      fi
    fi
    break
  done
  put "$M/life" "$boot $up $lived $wall"
  put "$D/life" "$boot $up $lived $wall" && sync "$D/life" 2> /dev/null
}

# The age at which it ends: the plan's, or earlier when the agent knows since when it is billed;
# later by what `launch extend` has bought, a number made from prices alone.
last_deadline() {
  total=$FUSE
  { read -r t < "$D/total"; } 2> /dev/null && number "$t" && [ "$t" -lt "$total" ] && total=$t
  { read -r t < "$S/extended"; } 2> /dev/null && number "$t" && [ "$t" -le 2592000 ] &&
    total=$((total + t))
  echo "$total"
}

check() {
  begin
  [ "$lived" -lt "$(last_deadline)" ] || fire deadline
  [ -e "$M/ready" ] && return
  { read -r a < "$M/armed"; } 2> /dev/null && number "$a" && [ $((up - a)) -lt "$START" ] || fire start
}

left() {
  count_life
  echo $(($(last_deadline) - lived))
}

ready() {
  count_life
  # The heartbeat's fifth word: the agent's own last moment, in seconds since boot.
  { read -r b u p k end rest < "$M/heartbeat"; } 2> /dev/null
  if [ "${b:-}" = "$boot" ] && number "${end:-}"; then
    t=$((lived + end - up + BEHIND))
    [ "$t" -ge "$(last_deadline)" ] || put "$D/total" "$t"
  fi
  # Only now, with the last deadline in place, the start's is lifted.
  if managed; then systemctl is-active --quiet mayfly-fuse.timer || return 1; fi
  put "$M/ready" "$up"
}

unit() {
  for folder in /etc/systemd/system /run/systemd/system; do
    cat > "$folder/$1.new" && mv -f "$folder/$1.new" "$folder/$1" && return
  done
}

arm_systemd() {
  # No default dependencies, and --no-block below: bootcmd runs before sysinit.target, and what
  # waits for that target there hangs the boot.
  unit mayfly-fuse.service <<UNIT
[Unit]
Description=mayfly: looks whether this instance has to end
DefaultDependencies=no
StartLimitIntervalSec=0
[Service]
Type=oneshot
TimeoutStartSec=infinity
OOMScoreAdjust=-1000
SyslogLevel=notice
LogLevelMax=notice
ExecStart=/bin/sh $D/fuse.sh check
UNIT
  unit mayfly-fuse.timer <<UNIT
[Unit]
Description=mayfly: the boot fuse
DefaultDependencies=no
[Timer]
OnActiveSec=0
OnUnitInactiveSec=$TICK
AccuracySec=1s
[Install]
WantedBy=sysinit.target
UNIT
  systemctl daemon-reload
  systemctl enable mayfly-fuse.timer
  systemctl start --no-block mayfly-fuse.timer
}

# Secrets are kept in memory; in a container /run may be on a disk.
memory() {
  [ -e "$M" ] && return
  mkdir -p "$R/run"
  if [ -n "$R" ] || [ "$(stat -f -c %T /run)" = tmpfs ] || ! shm=$(mktemp -d /dev/shm/mayfly.XXXXXXXX); then
    mkdir -p "$M"
  else
    ln -sfn "$shm" "$M"
  fi
}

# Of this boot; also at the first tick, should cloud-init not have come so far this time.
begin() {
  memory
  [ -d "$S" ] || mkdir -p "$S"
  count_life
  [ -e "$M/armed" ] || { put "$M/armed" "$up"; put "$M/boot" "$boot"; }
}

arm() {
  begin
  if [ -z "$R" ]; then chmod 0711 "$M/"; fi
  if managed; then arm_systemd; else sh "$D/fuse.sh" wait > /dev/null 2>&1 < /dev/null & fi
  echo "fuse: armed $up s after boot, $(($(last_deadline) - lived)) s left"
}

wait_here() {
  while :; do
    sh "$D/fuse.sh" check
    pause=$(left)
    [ "$pause" -gt 0 ] || pause=1
    [ "$pause" -lt "$TICK" ] || pause=$TICK
    sleep "$pause"
  done
}

# Asks the provider once; whether it accepted. That is no reason to stop asking: accepted is not gone.
# The request is data: a curl configuration for this provider, with its credential, readable by root
# alone.
ask_provider() {
  if [ -n "${MAYFLY_HOST_PROGRAM:-}" ]; then
    # Provider local. Without the mark of the instance's own processes: this one must outlive them.
    env -u MAYFLY_INSTANCE_ID "$MAYFLY_HOST_PROGRAM" local-end --instance "$MAYFLY_INSTANCE_DIR"
    return
  fi
  if [ -n "$R" ] && [ -s "$R/host.sh" ]; then
    # An attached host: our processes and our folder end, this one and the machine do not.
    sh -c "$(cat "$R/host.sh")" mayfly end "$R" "${MAYFLY_INSTANCE_ID:-none}"
    return
  fi
  [ -s "$S/destroy.curl" ] || { echo "fuse: there is no destroy request"; return 1; }
  code=$(curl_request)
  # 6: the name is not known. The address as it was last seen (watch.sh), if it was.
  if [ $? = 6 ] && [ -s "$M/destroy.address" ]; then
    code=$(curl_request --resolve "$(cat "$M/destroy.address")")
  fi
  echo "fuse: the provider says ${code:-nothing}"
  case "$code" in 2??) ;; *) return 1 ;; esac
}
curl_request() {
  curl -q -s -o /dev/null -w '%{http_code}' --connect-timeout 10 --max-time 30 "$@" -K "$S/destroy.curl"
}

# Only where a machine that is off is not billed (AWS with shutdown behaviour terminate), or where
# the provider's own timer was read back; then late, for a machine that is off asks nobody.
power_off() {
  { read -r how < "$S/destroy.power-off"; } 2> /dev/null || return 0
  case "$how" in
    ends-billing) [ "$1" -ge 1 ] ;;
    limit-read-back) [ "$1" -ge 30 ] ;;
    *) false ;;
  esac || return 0
  case $(($1 % 6)) in
    1 | 2 | 3) timeout 10 systemctl poweroff --force ;;
    4) timeout 10 systemctl poweroff --force --force ;;
    *) echo o > /proc/sysrq-trigger ;;
  esac
}

fire() {
  echo "fuse: ends this instance: $1"
  { cat "$D/fuse-fired" || put "$D/fuse-fired" "$1"; } > /dev/null 2>&1
  round=0
  while :; do
    if managed; then timeout 10 systemctl kill --signal=KILL mayfly-trainer.service; fi
    # A machine that the provider does not take yet may reboot, and its agent upload what is not safe.
    if ask_provider; then rm -f "$S/secrets.kept"; fi
    round=$((round + 1))
    if [ -z "$R" ]; then power_off "$round"; fi
    sleep "$AGAIN"
  done 2> /dev/null
}

case "$1" in
  arm) arm ;;
  check) check ;;
  ready) ready ;;
  left) left ;;
  wait) wait_here ;;
  fire) fire "$2" ;;
esac
