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
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import container
from machine import BIN, RUN, Failed, Machine

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
    m = Machine("whole", served=True, hub=True, epochs=3, step_ms=150, steps_per_epoch=40,
                text=HOSTILE)
    try:
        m.boot()
        m.wait_ready()
        armed = int(m.box.read("/run/mayfly/armed"))
        figures["fuse armed, seconds after the boot began"] = armed
        m.check(m.programs.first == "active",
                f"at the first download request the fuse was {m.programs.first!r}")
        figures["user-data, bytes"] = m.user_data_bytes
        m.wait("the trainer", lambda: m.box.processes("bin/train sft"), 60)
        look_at_sandbox(m)
        look_for_secrets(m)
        m.wait_end(120)
        m.check([who for _, who in m.provider.asked] == ["agent"], "not ended by the agent")
        m.check(not (m.box.disk / "canary").exists(), "a text became a command")
        status = json.loads((m.box.disk / RUN[1:] / "agent/status.json").read_text())
        m.check(status["exit_code"] == 0, f"ended with {status['exit_code']}")
        m.check("checkpoint-epoch-2" in m.branches(), f"on the hub: {m.branches()}")
        m.check(not (m.box.disk / "var/lib/mayfly/secrets.kept").exists(), "secrets outlive the end")
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
        "kept secrets": "cat /var/lib/mayfly/secrets.kept",
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
           lambda: "NRestarts=1" in m.box.run("systemctl", "show", "mayfly-agent.service").stdout, 60)
    canaries = [m.token.encode(), m.key.encode()]
    found = []
    for pid in m.box.processes(""):
        for part in ("cmdline", "environ"):
            try:
                text = open(f"/proc/{pid}/{part}", "rb").read()
            except OSError:
                continue
            found += [f"{part} of {pid}" for canary in canaries if canary in text]
    allowed = {"/run/mayfly/secrets.json", "/var/lib/mayfly/destroy.curl",
               "/var/lib/mayfly/secrets.kept"}
    m.check(os.stat(m.box.path("/var/lib/mayfly/secrets.kept")).st_mode & 0o777 == 0o600,
            "others may read the kept secrets")
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


def without(*units):
    """Layers switched off, as a mistake or a fault would: what `units` name never runs."""
    def change(m):
        for unit in units:
            if unit == "layer 3":
                m.box.put("/etc/systemd/system/mayfly-agent.service.d/off.conf",
                          "[Service]\nWatchdogSec=0\nRestart=no\nSuccessExitStatus=SIGKILL\n")
            else:
                # In /run, where a mask wins over the file that the boot writes in /etc.
                m.box.put(f"/usr/lib/tmpfiles.d/mask-{unit}.conf",
                          f"L+ /run/systemd/system.control/{unit} - - - - /dev/null\n")
    return change


LAYER_4 = ("mayfly-watchdog.timer",)


def break_and_wait(name, harm, limit, reasons, off=(), before=None, saved=False, **words):
    """A machine in the middle of its training is harmed; it must be destroyed within `limit` seconds
    for one of `reasons`. Returns how long the first destroy request took."""
    m = Machine(name, hub=saved, push="no", **words)
    try:
        without(*off)(m)
        if before:
            before(m)
        m.boot().wait_checkpoint()
        harm(m)
        at = m.box.age()
        m.wait_end(limit)
        m.check(any(m.fired().startswith(reason) for reason in reasons), f"reason: {m.fired()}")
        # And it stayed on until the provider had destroyed it.
        m.check([who for _, who in m.provider.asked] == ["request"] * (words.get("deaf", 0) + 1),
                f"asked: {m.provider.asked}")
        if saved:
            m.check(any(b.startswith("stopped-step-") for b in m.branches()), f"{m.branches()}")
        return m.provider.asked[0][0] - at
    finally:
        m.close()


def remove_program(m):
    os.unlink(m.box.path("/opt/mayfly/bin/agent"))
    m.box.signal("/bin/agent run", signal.SIGKILL)


def forbid_program(m):
    os.chmod(m.box.path("/opt/mayfly/bin/agent"), 0o600)
    m.box.signal("/bin/agent run", signal.SIGKILL)


def stop_agent(m):
    m.check(m.box.signal("/bin/agent run", signal.SIGSTOP), "no agent to stop")


def freeze_agent(m):
    """As a process that is stuck in a driver: SIGKILL does not reach it."""
    group = f"/sys/fs/cgroup/freezer/{m.box.name}"
    os.makedirs(group, exist_ok=True)
    m.frozen = group
    for pid in m.box.processes("/bin/agent run"):
        open(f"{group}/cgroup.procs", "w").write(str(pid))
    open(f"{group}/freezer.state", "w").write("FROZEN")


CANNOT = "the agent could not be kept running"
DEAD = "the agent is dead and does not come back"
SILENT = "no heartbeat for"


@scenario("commit")
def program_removed():
    """Layer 3: the agent is killed and cannot come back; the provider fails twice."""
    took = break_and_wait("removed", remove_program, 70, [CANNOT, DEAD], deaf=2)
    figures["agent killed for good -> destroy call, seconds"] = round(took, 1)
    if took > 65:
        raise Failed(f"took {took} s")


@scenario("soak")
def program_forbidden():
    break_and_wait("forbid", forbid_program, 70, [CANNOT, DEAD])


@scenario("soak")
def killed_for_good_without_layer_3():
    """Layer 4 with its real times."""
    took = break_and_wait("killed", remove_program, 75, [DEAD], off=["layer 3"], LOOK=60,
                          SILENT=300, TICK=30, AGAIN=20)
    figures["the same, layer 4 alone, real times"] = round(took, 1)
    if took > 65:
        raise Failed(f"took {took} s")


@scenario("commit")
def frozen_without_layer_3():
    """Layer 4: the agent hangs and systemd does not look. The work is saved first."""
    took = break_and_wait("frozen", stop_agent, 60, [SILENT], off=["layer 3"], saved=True, SILENT=6)
    figures["agent frozen, heartbeat limit 6 s -> destroy call, seconds"] = round(took, 1)


@scenario("soak")
def frozen_in_real_time():
    took = break_and_wait("real", stop_agent, 420, [SILENT], off=["layer 3"], saved=True, LOOK=60,
                          SILENT=300, TICK=30, AGAIN=20, FUSE=6000)
    figures["agent frozen -> destroy call, layer 4 alone, real times, seconds"] = round(took, 1)
    if took > 360:
        raise Failed(f"took {took} s")


@scenario("soak")
def frozen_process_ignores_sigkill():
    """A frozen cgroup; layer 3 cannot end it, nobody waits for its death."""
    break_and_wait("stuck", freeze_agent, 90, [SILENT, CANNOT], saved=True, SILENT=6, NOTIFY=5)


@scenario("soak")
def silence_is_mended_by_layer_3():
    """systemd kills an agent that does not answer and starts it again; the run goes on to its end."""
    m = Machine("mended", NOTIFY=5, epochs=3, step_ms=60, steps_per_epoch=60)
    try:
        m.boot().wait_ready()
        m.wait("the trainer", lambda: m.box.processes("bin/train sft"), 60)
        stop_agent(m)
        m.wait_end(90)
        m.check([who for _, who in m.provider.asked] == ["agent"], f"asked: {m.provider.asked}")
        status = json.loads((m.box.disk / RUN[1:] / "agent/status.json").read_text())
        m.check(status["exit_code"] == 0, f"ended with {status['exit_code']}")
        m.check(status["trainer_restarts"] == 0, "the trainer was started again")
    finally:
        m.close()


@scenario("soak")
def frozen_without_layers_3_and_4():
    """Layer 5 alone: the last deadline."""
    break_and_wait("fuse", stop_agent, 60, ["deadline"], off=["layer 3", *LAYER_4], FUSE=30,
                   BEHIND=0)


@scenario("soak")
def killed_without_layers_3_and_4():
    break_and_wait("fuse2", remove_program, 60, ["deadline"], off=["layer 3", *LAYER_4], FUSE=30,
                   BEHIND=0)


@scenario("soak")
def frozen_without_fuse():
    """Layers 3 and 4 do not need the fuse's timer once the agent is ready."""
    def stop_fuse(m):
        m.box.run("systemctl", "stop", "mayfly-fuse.timer")
        stop_agent(m)
    break_and_wait("nofuse", stop_fuse, 60, [SILENT, CANNOT], saved=True, SILENT=6)


@scenario("soak")
def no_agent_without_a_fuse():
    """The fuse's timer is masked from the beginning: the agent must not run at all."""
    m = Machine("masked")
    try:
        without("mayfly-fuse.timer")(m)
        m.boot().wait_end(90)
        m.check(m.provider.asked, "it went without being asked to")
        m.check(not (m.box.disk / RUN[1:] / "adapter").exists(), "it has trained")
    finally:
        m.close()


@scenario("soak")
def state_damaged():
    def damage(m):
        stop_agent(m)
        m.box.path(f"{RUN}/agent/state.json").write_bytes(b"\x00\x01{{{")
    break_and_wait("state", damage, 60, [SILENT], off=["layer 3"], saved=True, SILENT=6)


@scenario("soak")
def plan_damaged():
    """An agent that cannot read its plan ends the machine at once, not at the fuse."""
    def damage(m):
        m.box.path("/opt/mayfly/plan.json").write_text("{")
        m.box.signal("/bin/agent run", signal.SIGKILL)
    took = break_and_wait("plan", damage, 60, [CANNOT, DEAD])
    figures["plan that cannot be read -> destroy call, seconds"] = round(took, 1)


@scenario("soak")
def names_unknown():
    """The name server is gone: the address that the watchdog has seen is used."""
    def harm(m):
        m.wait("the address", lambda: m.box.read("/run/mayfly/destroy.address"), 60)
        m.box.path("/etc/hosts").write_text("127.0.0.1 localhost\n")
        remove_program(m)
    break_and_wait("dns", harm, 60, [CANNOT, DEAD])


@scenario("soak")
def disk_full():
    def harm(m):
        try:
            with open(m.box.path("/var/lib/fill"), "wb") as out:
                while True:
                    out.write(b"x" * (1 << 20))
        except OSError:
            pass
        stop_agent(m)
    m = Machine("full", SILENT=6)
    try:
        without("layer 3")(m)
        m.boot().wait_checkpoint()
        harm(m)
        m.wait_end(120)
        m.check(m.provider.asked[-1][1] == "request", f"asked: {m.provider.asked}")
    finally:
        m.close()


@scenario("soak")
def provider_fails():
    """The provider answers 500 five times: it is asked again."""
    m = Machine("deaf", deaf=5)
    try:
        m.boot().wait_checkpoint()
        remove_program(m)
        m.wait_end(90)
        m.check(len(m.provider.asked) == 6, f"asked: {m.provider.asked}")
    finally:
        m.close()


def is_powered_off(power_off, seconds):
    """A provider that does not answer at all; whether the machine is off after so many seconds."""
    m = Machine("power", deaf=10**9, power_off=power_off)
    try:
        m.boot().wait_checkpoint()
        remove_program(m)
        m.wait("ten requests", lambda: not m.box.is_on() or len(m.provider.asked) > 9, seconds)
        return not m.box.is_on()
    finally:
        m.close()


@scenario("soak")
def powers_off_where_that_ends_billing():
    if not is_powered_off("ends-billing", 60):
        raise Failed("it is still on")


@scenario("soak")
def stays_on_where_power_off_does_not_end_billing():
    """A machine that is off asks nobody: without the file, and with a word that is not known."""
    for word in (None, "limit-read-back", "perhaps"):
        if is_powered_off(word, 60):
            raise Failed(f"it powered off with {word}")


@scenario("soak")
def program_not_found():
    start_fails("404", served=True, fault=404)


@scenario("soak")
def program_with_another_hash():
    start_fails("hash", served=True, wrong_hash=True)


def start_fails(name, **words):
    m = Machine(name, **words)
    try:
        m.boot().wait_end(90)
        m.check(m.fired() == "bootstrap", f"reason: {m.fired()}")
        m.check(m.programs.first == "active", f"fuse at the first request: {m.programs.first}")
        m.check((m.box.disk / "opt/mayfly/bootstrap-failed").read_text().startswith("cannot get"),
                "it does not say why")
    finally:
        m.close()


@scenario("soak")
def program_slow():
    """A download that crawls: the start's own deadline (30 minutes, here 20 s)."""
    m = Machine("slow", served=True, fault="slow", START=20)
    try:
        m.boot().wait_end(60)
        m.check(m.fired() == "start", f"reason: {m.fired()}")
        m.check(m.programs.first == "active", f"fuse at the first request: {m.programs.first}")
    finally:
        m.close()


@scenario("soak")
def runcmd_broken():
    """One bad item makes cloud-init drop the whole runcmd, and go on."""
    m = Machine("runcmd", START=20, change_user_data=lambda text: text + "  - false\n")
    try:
        m.boot().wait_end(60)
        m.check(m.fired() == "start", f"reason: {m.fired()}")
        m.check(not (m.box.disk / "opt/mayfly/bin/agent").exists(), "runcmd ran all the same")
    finally:
        m.close()


@scenario("soak")
def reboot_during_install():
    """cloud-init does not run runcmd a second time: the start's deadline counts from this boot. And
    the life of the machine goes on where it was."""
    m = Machine("reboot", served=True, fault="slow", START=20, FUSE=600)
    try:
        m.boot()
        m.wait("a download", lambda: m.programs.first, 40)

        def left():
            return int(m.box.run("sh", "/opt/mayfly/fuse.sh", "left").stdout)

        m.wait("three seconds of its life", lambda: left() <= 597, 20)  # a life begun anew has 600 or 599
        before = left()
        m.box.run("systemctl", "reboot")
        m.wait("the reboot", m.box.wants_to_boot_again, 60)
        m.boot()
        m.wait("the second boot", lambda: m.box.read("/run/mayfly/armed"), 60)
        after = left()
        m.check(after <= before, f"{before} s were left before the reboot, {after} after")
        m.wait_end(120)
        m.check(m.fired() == "start", f"reason: {m.fired()}")
    finally:
        m.close()


@scenario("commit")
def agent_restarts_after_a_reboot():
    """As after a panic of the kernel, which tells nobody. The memory with the hub's token is gone and
    nobody pushes it again: the run goes on all the same, and what it trains is published."""
    m = Machine("again", hub=True, push="no", epochs=3, step_ms=60, steps_per_epoch=60)
    try:
        m.boot().wait_checkpoint()
        m.check(not m.branches(), f"on the hub before the reboot: {m.branches()}")
        m.box.run("systemctl", "reboot", "--force", "--force")
        m.wait("the reboot", m.box.wants_to_boot_again, 60)
        m.boot(pushed=False)
        m.wait("the second boot", lambda: m.box.read("/run/mayfly/armed"), 60)
        m.check(not m.box.path("/run/mayfly/secrets.json").exists(), "the token is in memory")
        m.wait_end(90)
        m.check([who for _, who in m.provider.asked] == ["agent"], f"asked: {m.provider.asked}")
        status = json.loads((m.box.disk / RUN[1:] / "agent/status.json").read_text())
        m.check(status["exit_code"] == 0, f"ended with {status['exit_code']}")
        sent = {upload["label"]: upload["state"] for upload in status["uploads"]}
        m.check(sent == {"main": "safe"}, f"uploads: {status['uploads']}")
    finally:
        m.close()


def texts(count, seed):
    box = container.Container(tempfile.mkdtemp(prefix="mayfly-boot-texts-") + "/box")
    try:
        folder = box.disk / "hostile"
        folder.mkdir()
        subprocess.run([BIN / "boot_probe", "hostile", folder, str(count), str(seed)], check=True)
        box.put("/check.py", (pathlib.Path(__file__).parent / "cloud_init_check.py").read_bytes())
        for name in ("null", "urandom"):
            if not (box.disk / "dev" / name).exists():
                subprocess.run(["cp", "-a", f"/dev/{name}", box.disk / "dev"], check=True)
        done = subprocess.run(["chroot", box.disk, "python3", "/check.py", "/hostile"],
                              capture_output=True, text=True, errors="replace")
        if done.returncode != 0:
            raise Failed(f"seed {seed}: {done.stdout}{done.stderr}")
        figures[f"hostile texts through cloud-init and sh, seed {seed}"] = int(done.stdout)
        if int(done.stdout) < count // 3:
            raise Failed(f"only {done.stdout} of {count} were tried")
    finally:
        box.remove()


@scenario("commit")
def hostile_texts():
    texts(500, 20261122)


@scenario("soak")
def more_hostile_texts():
    texts(5000, 7)


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
