#!/bin/sh
# Fetches the programs, checks them, starts the watchdog, then the agent. Nothing clever.
#
# `programs` has a line "<name> <sha256> <url>" each; the name `bundle` stands for a .tar.gz of programs,
# the address `ssh:` for what the launcher hands over itself. What has another SHA-256 is refused, and
# then the instance ends: it could do nothing but cost money. Where systemd is in charge of the machine
# it keeps the agent running, elsewhere (provider local, a container, MAYFLY_ROOT) this script does.
set -eu
R="${MAYFLY_ROOT:-}"
D="$R/opt/mayfly"
M="$R/run/mayfly"
S="$R/var/lib/mayfly"
managed() { [ -z "$R" ] && [ -d /run/systemd/system ]; }

give_up() {
  echo "bootstrap: $1" >&2
  echo "$1" > "$D/bootstrap-failed" || true
  exec sh "$D/fuse.sh" fire bootstrap
}

# Which instance this is, its plan and its secrets come over SSH (receive.sh), `instance` the last. If
# nobody comes, the fuse ends this.
wait_for_launcher() {
  while [ ! -s "$S/instance" ]; do sleep 0.5; done
}

# fetch SHA256 URL FILE
fetch() {
  case "$2" in
    ssh:) wait_for_launcher; mv -f "$D/handed-over" "$3" || return 1 ;;
    file://*)
      cp -- "${2#file://}" "$3"
      # An installed trainer looks for its libraries beside its folder.
      libraries="${2#file://}"; libraries="${libraries%/*}/../lib"
      if [ -d "$libraries/mayfly" ]; then ln -sfn "$libraries" "$D/lib"; fi ;;
    https://* | http://127.0.0.1:*)
      # A hub sends on to where it keeps large files; never from https to http.
      redirects='=https'
      case "$2" in http:*) redirects='=https,http' ;; esac
      curl -q -fsSL --max-redirs 5 --proto =https,http --proto-redir "$redirects" \
        --connect-timeout 10 --speed-limit 1024 --speed-time 30 --max-time 900 -o "$3" --url "$2" ;;
    *) echo "bootstrap: not an address of a program: $2" >&2; return 1 ;;
  esac
  echo "$1  $3" | sha256sum -c --status || { echo "bootstrap: wrong SHA-256: $2" >&2; return 1; }
}

mkdir -p "$D/bin"
while read -r name sha url; do
  case "$name" in '' | *[!a-z0-9-]*) give_up "not a name of a program: $name" ;; esac
  fetched=no
  for pause in 0 1 4; do
    sleep "$pause"
    if fetch "$sha" "$url" "$D/bin/.$name"; then fetched=yes; break; fi
    case "$url" in file://* | ssh:) break ;; esac
  done
  [ "$fetched" = yes ] || give_up "cannot get the program $name"
  if [ "$name" = bundle ]; then
    tar -xz -f "$D/bin/.bundle" -C "$D/bin" --no-same-owner || give_up "the bundle cannot be unpacked"
    rm -f "$D/bin/.bundle"
    continue
  fi
  chmod 0755 "$D/bin/.$name"
  mv "$D/bin/.$name" "$D/bin/$name"
done < "$D/programs"

# On provider local the instance knows its name from its first moment.
if [ -z "${MAYFLY_INSTANCE_ID:-}" ]; then
  wait_for_launcher
  set -a
  . "$S/instance"
  set +a
fi

# The watchdog's script and the units: the agent has them in itself.
"$D/bin/agent" install --root "$R/" || give_up "the agent does not run here"
if managed; then
  id mayfly-train > /dev/null 2>&1 ||
    useradd --system --no-create-home --shell /usr/sbin/nologin mayfly-train ||
    give_up "no user for the trainer"
  systemctl daemon-reload
  # A watchdog that cannot be had is no reason to let the machine stand idle until the fuse.
  for unit in mayfly-watchdog.timer mayfly-agent.service; do
    systemctl enable "$unit" || echo "bootstrap: $unit will not start after a reboot"
    systemctl start --no-block "$unit" || echo "bootstrap: $unit does not start"
  done
  exit
fi

sh "$D/watch.sh" watch > "$D/watch.log" 2>&1 &
# As systemd does elsewhere: again after a second; but not when it cannot start at all (2: not
# with these arguments or this plan, 5 and 13: no plan that could be read, 126 and 127: no
# program), and not after five lives in ten minutes.
lives=""
while [ ! -e "$M/rescue" ]; do
  code=0
  "$D/bin/agent" run --plan "$D/plan.json" --secrets "$M/secrets.json" \
    --heartbeat "$M/heartbeat" || code=$?
  case "$code" in 2 | 5 | 13 | 126 | 127) why="the agent cannot start: exit $code"; break ;; esac
  now=$(cut -d. -f1 /proc/uptime)
  lives="$now $lives"
  set -- $lives
  if [ $# -ge 5 ] && [ $((now - $5)) -lt 600 ]; then
    why="the agent ended five times in ten minutes"
    break
  fi
  sleep 1
done
[ -e "$M/rescue" ] || echo "${why:-}" > "$M/rescue"
exec sh "$D/watch.sh" rescue
