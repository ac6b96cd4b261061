"""One boot under test: the container, what is on its disk, and the world around it."""
import json
import os
import pathlib
import subprocess
import tempfile
import threading
import time

import cloud
import container

BIN = pathlib.Path(os.environ.get("MAYFLY_BIN") or
                   pathlib.Path(__file__).resolve().parents[2] / "build/light/bin")
RUN = "/var/lib/mayfly/runs/boot-test"
RECORD = "/var/lib/mayfly/state/local/local-boot-test/instance.json"
DESTROY = """# The request that ends this machine.
# host provider.test {port}
request = "POST"
url = "http://provider.test:{port}/terminate"
header = "Authorization: Bearer {key}"
data = "{{}}"
"""
# All layers soon enough to be waited for; what a scenario is about it sets itself.
TIMES = {"FUSE": 600, "BEHIND": 300, "START": 120, "TICK": 1, "AGAIN": 1, "LOOK": 1, "SILENT": 120,
         "LATE": 120, "RESCUE": 30, "NOTIFY": 60}


class Failed(Exception):
    pass


class Machine:
    def __init__(self, name, served=False, fault=None, hub=False, deaf=0, power_off=None,
                 destroy=True, wrong_hash=False, change_user_data=lambda text: text, **words):
        self.name = name
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"mayfly-boot-{name}-"))
        self.box = container.Container(self.folder / "box")
        self.servers = []
        self.hub = None
        self.frozen = None  # a cgroup
        try:
            self.furnish(served, fault, hub, deaf, power_off, destroy, wrong_hash, change_user_data,
                         words)
        except BaseException:
            self.close()
            raise

    def furnish(self, served, fault, hub, deaf, power_off, destroy, wrong_hash, change_user_data,
                words):
        self.token = "hf_canaryBootTestTokenThatIsNoToken"
        words = {**TIMES, "step_ms": 50, "steps_per_epoch": 20, "epochs": 1000, **words}
        if hub:
            words["hub"] = self.start_hub()
        self.put_programs(words, served, fault, wrong_hash)
        self.put_model()
        listening, port = self.box.listen()
        self.provider = cloud.Provider(self.box, listening, lambda: self.box.disk / RECORD[1:], deaf)
        self.servers.append(self.provider)
        self.key = cloud.Provider.KEY
        (self.box.disk / "var/log/journal").mkdir(exist_ok=True)  # outlives the machine
        self.box.put("/etc/hosts", "127.0.0.1 localhost provider.test\n")
        if destroy:
            self.box.put("/var/lib/mayfly/destroy.curl", DESTROY.format(port=port, key=self.key),
                         0o600)
        if power_off:
            self.box.put("/var/lib/mayfly/destroy.power-off", power_off + "\n", 0o600)
        made = subprocess.run([BIN / "boot_probe", "machine", self.folder]
                              + [f"{k}={v}" for k, v in words.items()],
                              capture_output=True, text=True, check=True)
        self.user_data_bytes = int(made.stdout)
        self.put_seed(change_user_data((self.folder / "user-data").read_text()))

    def start_hub(self):
        ready = self.folder / "hub-ready"
        self.hub = subprocess.Popen(
            ["ip", "netns", "exec", self.box.name, BIN / "localhub", "--root", self.folder / "hub",
             "--port", "0", "--ready-file", ready], stdout=subprocess.DEVNULL,
            stderr=open(self.folder / "hub.log", "wb"))
        for _ in range(500):
            if ready.exists():
                break
            time.sleep(0.02)
        self.token = (self.folder / "hub/token").read_text().strip()
        return f"http://127.0.0.1:{json.loads(ready.read_text())['port']}"

    def put_programs(self, words, served, fault, wrong_hash):
        files = {"agent": BIN / "agent", "train": BIN / "fake_trainer"}
        for path in self.libraries(files.values()):
            place = self.box.disk / "usr/lib/x86_64-linux-gnu" / path.name
            if not place.exists():
                place.write_bytes(path.read_bytes())
        for name, path in files.items():
            words[name + "_sha256"] = cloud.sha256(path)
            if not served:
                self.box.put(f"/opt/programs/{name}", path.read_bytes(), 0o755)
        if wrong_hash:
            words["train_sha256"] = "0" * 64
        if served:
            listening, port = self.box.listen()
            self.programs = cloud.Programs(listening, files, fault, self.fuse_state)
            self.servers.append(self.programs)
            words.update({name: f"http://127.0.0.1:{port}/{name}" for name in files})

    @staticmethod
    def libraries(programs):
        found = set()
        for program in programs:
            listed = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
            found |= {pathlib.Path(line.split("=> ")[1].split(" ")[0])
                      for line in listed.splitlines() if "=> /" in line}
        return found

    def put_model(self):
        for name in ("config.json", "tokenizer.json", "model.safetensors", "data.jsonl"):
            self.box.put(f"/opt/model/{name}", "{}\n")

    def put_seed(self, user_data):
        self.box.put("/var/lib/cloud/seed/nocloud/user-data", user_data)
        self.box.put("/var/lib/cloud/seed/nocloud/meta-data", "instance-id: boot-test\n")
        self.box.put("/var/lib/mayfly/instance", "MAYFLY_INSTANCE_ID=local-boot-test\n"
                     "MAYFLY_STATE_DIR=/var/lib/mayfly/state\nHOME=/root\n")
        self.box.put(RECORD, (self.folder / "instance.json").read_text(), 0o600)

    def boot(self, pushed=True):
        self.box.boot()
        if not pushed:
            return self
        threading.Thread(target=self.push_secrets, daemon=True).start()
        return self

    def push_secrets(self):
        """As the launcher does over SSH: into memory, for root alone."""
        while self.box.is_on():
            folder = self.box.path("/run/mayfly")
            try:
                if folder.is_dir():
                    fresh = folder / "secrets.new"
                    with open(os.open(fresh, os.O_CREAT | os.O_WRONLY, 0o600), "w") as out:
                        out.write(json.dumps({"HF_TOKEN": self.token}))
                    fresh.rename(folder / "secrets.json")
                    return
            except OSError:
                pass
            time.sleep(0.02)

    def fuse_state(self):
        return self.box.run("systemctl", "is-active", "mayfly-fuse.timer").stdout.strip()

    def wait(self, what, condition, limit):
        end = time.monotonic() + limit
        while time.monotonic() < end:
            value = condition()
            if value:
                return value
            time.sleep(0.05)
        raise Failed(f"{self.name}: not within {limit} s: {what}\n{self.story()}")

    def wait_ready(self, limit=180):
        self.wait("the agent is ready", lambda: self.box.read("/run/mayfly/ready"), limit)

    def wait_checkpoint(self, limit=180):
        self.wait_ready(limit)
        self.wait("a checkpoint", lambda: self.box.path(f"{RUN}/checkpoints").is_dir() and any(
            name.startswith("checkpoint-")
            for name in os.listdir(self.box.path(f"{RUN}/checkpoints"))), limit)

    def wait_end(self, limit):
        self.wait("the end of the machine", lambda: not self.box.is_on(), limit)

    def check(self, condition, what):
        if not condition:
            raise Failed(f"{self.name}: {what}\n{self.story()}")

    def fired(self):
        """The reason that the fuse has written; also when the machine is off."""
        for root in (self.box.disk,):
            path = root / "opt/mayfly/fuse-fired"
            if path.exists():
                return path.read_text().strip()
        return ""

    def branches(self):
        found = set()
        for path in (self.folder / "hub").rglob("*"):
            if path.name.startswith(("stopped-step-", "checkpoint-epoch-")):
                found.add(path.name.split(".")[0])
        return found

    def story(self):
        lines = [f"asked of the provider: {self.provider.asked}", f"fired: {self.fired()}"]
        log = subprocess.run(["chroot", self.box.disk, "journalctl", "--no-pager", "-D",
                              "/var/log/journal", "-o", "short-precise"], capture_output=True,
                             text=True, errors="replace").stdout
        lines += [line for line in log.splitlines() if "mayfly" in line or " sh[" in line][-60:]
        # What the boot was doing last, whoever's unit it was.
        lines += ["--- the journal's end", *log.splitlines()[-40:]]
        for log in (self.box.log, self.box.disk / "var/log/cloud-init-output.log"):
            if log.exists():
                lines.append(f"--- {log}\n" + log.read_text(errors="replace")[-1500:])
        return "\n".join(lines)

    def close(self):
        for server in self.servers:
            server.close()
        if self.hub:
            self.hub.terminate()
            self.hub.wait()
        if self.frozen:
            pathlib.Path(self.frozen, "freezer.state").write_text("THAWED")
        self.box.remove()
        if self.frozen:
            time.sleep(0.5)
            os.rmdir(self.frozen)
        subprocess.run(["rm", "-rf", self.folder], check=False)
