"""Boots with systemd as the first process and the real cloud-init, in containers: the real
user-data, scripts, units and agent; a trainer without a model; a provider that bills, destroys when
asked, and counts. In each scenario something is taken away; the machine must be destroyed all the
same, by the layer whose turn it is.

    boot_test.py commit          the scenarios of every commit, a few at a time
    boot_test.py soak            all
    boot_test.py NAME...         these; KEEP=1 keeps the machine's files
"""
import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import time
import traceback

import container
from machine import RUN, Failed, Machine

HOSTILE = "'\"`touch /canary`$(touch /canary)\nMAYFLY\ntouch /canary\nruncmd: [x]\n@{times}\\ \U0001f4a5"
figures = {}
SCENARIOS = {}


def scenario(level):
    def add(function):
        SCENARIOS[function.__name__] = (level, function)
        return function
    return add


@scenario("commit")
def whole():
    """Nothing is taken away: order of the start, secrets, sandbox, hostile texts, the agent's own end."""
    m = Machine("whole", served=True, hub=True, epochs=3, step_ms=60, steps_per_epoch=40,
                text=HOSTILE)
    try:
        m.boot()
        m.wait_ready()
        armed = float(m.box.read("/run/mayfly/armed"))
        figures["fuse armed, seconds after the boot began"] = armed - int(m.box.started_uptime)
        m.check(m.programs.first == "active",
                f"at the first download request the fuse was {m.programs.first!r}")
        figures["user-data, bytes"] = m.user_data_bytes
        m.wait("the trainer", lambda: m.box.processes("bin/train sft"), 20)
        look_at_sandbox(m)
        look_for_secrets(m)
        m.wait_end(60)
        m.check([who for _, who in m.provider.asked] == ["agent"], "not ended by the agent")
        m.check(not (m.box.disk / "canary").exists(), "a text became a command")
        status = json.loads((m.box.disk / RUN[1:] / "agent/status.json").read_text())
        m.check(status["exit_code"] == 0, f"ended with {status['exit_code']}")
        m.check("checkpoint-epoch-2" in m.branches(), f"on the hub: {m.branches()}")
    finally:
        m.close()


def look_at_sandbox(m):
    text = m.box.run("systemd-analyze", "security", "--no-pager", "mayfly-agent.service").stdout
    score = float(re.search(r"exposure level for mayfly-agent.service: ([0-9.]+)", text).group(1))
    figures["systemd-analyze security, agent"] = score
    m.check(score <= 3.0, f"score {score}\n{text}")
    pid = m.box.processes("bin/train sft")[0]
    words = open(f"/proc/{pid}/status").read()
    uid = int(re.search(r"Uid:\s+(\d+)", words).group(1))
    m.check(uid != 0, "the trainer is root")
    m.check(re.search(r"CapEff:\s+0+\n", words), "the trainer has rights")
    m.check(open(f"/proc/{pid}/oom_score_adj").read().strip() == "500", "OOM score")
    refused = {
        "provider": f"curl -s -m 3 http://127.0.0.1:{m.provider.server.port}/",
        "metadata": "curl -s -m 3 http://169.254.169.254/",
        "secrets": "cat /run/mayfly/secrets.json",
        "destroy request": "cat /var/lib/mayfly/destroy.curl",
        "user-data": "cat /var/lib/cloud/seed/nocloud/user-data",
        "credentials": "cat /run/credentials/mayfly-agent.service/secrets.json",
        "heartbeat": "echo x > /run/mayfly/heartbeat",
        "fuse": "echo x > /opt/mayfly/times",
        "agent's state": f"echo x > {RUN}/agent/state.json",
        "plan": f"rm -f {RUN}/plan.json && test ! -e {RUN}/plan.json",
    }
    for what, command in refused.items():
        done = subprocess.run(["nsenter", "-t", str(pid), "-m", "-n", "-S", str(uid), "-G", str(uid),
                               "--", "sh", "-c", command], capture_output=True)
        m.check(done.returncode != 0, f"the trainer was not refused: {what}")
    written = subprocess.run(["nsenter", "-t", str(pid), "-m", "-n", "-S", str(uid), "-G", str(uid),
                              "--", "touch", f"{RUN}/mine"], capture_output=True)
    m.check(written.returncode == 0, "the trainer cannot write into the run directory")


def look_for_secrets(m):
    """Nowhere but in the files made for them: not in argv, environment, logs, journal, cloud-init's
    folders, the run directory, a core file."""
    m.box.signal("/bin/agent run", signal.SIGSEGV)
    m.wait("the next life of the agent",
           lambda: "NRestarts=1" in m.box.run("systemctl", "show", "mayfly-agent.service").stdout, 20)
    canaries = [m.token.encode(), m.key.encode()]
    found = []
    for pid in m.box.processes(""):
        for part in ("cmdline", "environ"):
            try:
                text = open(f"/proc/{pid}/{part}", "rb").read()
            except OSError:
                continue
            found += [f"{part} of {pid}" for canary in canaries if canary in text]
    allowed = {"/run/mayfly/secrets.json", "/var/lib/mayfly/destroy.curl"}
    for top in ("/run", "/var/log", "/var/lib", "/opt/mayfly", "/tmp", "/root", "/etc"):
        for folder, _, names in os.walk(m.box.path(top)):
            for name in names + [n for n in names if n.startswith("core")]:
                path = os.path.join(folder, name)
                inside = "/" + path.split("/root/", 1)[1]
                try:
                    if os.path.islink(path) or not os.path.isfile(path):
                        continue
                    text = open(path, "rb").read(64 << 20)
                except OSError:
                    continue
                if inside not in allowed and not inside.startswith("/run/credentials/"):
                    found += [inside for canary in canaries if canary in text]
    journal = m.box.run("journalctl", "--no-pager", "-o", "export").stdout.encode()
    found += ["journal" for canary in canaries if canary in journal]
    m.check(not found, f"secrets in {found}")
    cores = [n for n in os.listdir(m.box.path("/")) if n.startswith("core")]
    m.check(not cores, f"core files: {cores}")


@scenario("commit")
def program_removed():
    """Layer 3: the agent is killed and cannot come back."""
    m = Machine("removed", hub=True, push="no")
    try:
        m.boot().wait_checkpoint()
        os.unlink(m.box.path("/opt/mayfly/bin/agent"))
        m.box.signal("/bin/agent run", signal.SIGKILL)
        at = m.box.age()
        m.wait_end(70)
        took = m.provider.asked[0][0] - at
        figures["agent killed for good -> destroy call, seconds"] = round(took, 1)
        m.check(took <= 65, f"took {took} s")
        m.check([who for _, who in m.provider.asked] == ["request"], "asked by the wrong one")
    finally:
        m.close()


@scenario("commit")
def frozen_without_layer_3():
    """Layer 4: the agent hangs and systemd does not look. The work is saved first."""
    m = Machine("frozen", hub=True, push="no", SILENT=6)
    try:
        m.box.put("/etc/systemd/system/mayfly-agent.service.d/off.conf",
                  "[Service]\nWatchdogSec=0\n")
        m.boot().wait_checkpoint()
        m.box.signal("/bin/agent run", signal.SIGSTOP)
        at = m.box.age()
        m.wait_end(60)
        figures["agent frozen, heartbeat limit 6 s -> destroy call, seconds"] = round(
            m.provider.asked[0][0] - at, 1)
        m.check(m.fired().startswith("no heartbeat for"), f"reason: {m.fired()}")
        m.check(any(b.startswith("stopped-step-") for b in m.branches()), f"hub: {m.branches()}")
    finally:
        m.close()


def run_one(name):
    begun = time.monotonic()
    try:
        SCENARIOS[name][1]()
        return name, None, time.monotonic() - begun
    except Failed as failure:
        return name, str(failure), time.monotonic() - begun
    except Exception:
        return name, traceback.format_exc(), time.monotonic() - begun


def main():
    words = sys.argv[1:] or ["commit"]
    reason = container.missing()
    if reason:
        print(f"skipped: no machine can be booted here: {reason}")
        return 77
    names = [n for w in words for n in (
        [w] if w in SCENARIOS else
        [n for n, (level, _) in SCENARIOS.items() if w == "soak" or level == w])]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for name, problem, took in pool.map(run_one, names):
            print(f"{'FAILED' if problem else 'ok':7}{name}  {took:.1f} s", flush=True)
            if problem:
                failed += 1
                print(problem, flush=True)
    for what, value in figures.items():
        print(f"{what}: {value}")
    print(f"{len(names)} machines, {len(names) - failed} as they should, {failed} not")
    return 1 if failed or not names else 0


if __name__ == "__main__":
    sys.exit(main())
