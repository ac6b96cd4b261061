"""A machine to boot: systemd as the first process and the real cloud-init, in a container.

The file system comes from debootstrap once and is kept in the cache; each boot gets a writable layer
over it (overlayfs) and a network of its own (a namespace with nothing but the loopback in it, where
the test's servers listen). Needs root, systemd-nspawn, debootstrap, ip and unshare; `missing` says
what is not there.

    python3 container.py    makes the file system, if it is not there yet
"""
import ctypes
import itertools
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

RECIPE = "3"
PACKAGES = ("systemd-sysv,dbus,cloud-init,curl,ca-certificates,iproute2,procps,gzip,"
            "libcurl4,libssl3,netbase")
CACHE = pathlib.Path(os.environ.get("MAYFLY_CACHE") or
                     os.path.join(os.environ.get("XDG_CACHE_HOME") or
                                  os.path.expanduser("~/.cache"), "mayfly"))
ROOT = CACHE / "boot-root"
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000   # <sched.h>, <sys/mount.h>


def release():
    words = dict(line.split("=", 1) for line in open("/etc/os-release") if "=" in line)
    return words["ID"].strip().strip('"'), words["VERSION_CODENAME"].strip().strip('"')


def missing():
    """Why no container can be booted here; '' if one can."""
    if os.geteuid() != 0:
        return "not root"
    for program in ("systemd-nspawn", "ip", "nsenter", "unshare"):
        if not shutil.which(program):
            return f"{program} is not installed"
    if not is_made():
        return f"{ROOT} is not made: `python3 tests/boot/container.py` does (./dev test asks it to)"
    return ""


def is_made():
    stamp = ROOT / ".stamp"
    return stamp.exists() and stamp.read_text() == stamp_text()


def stamp_text():
    return f"{RECIPE} {' '.join(release())} {PACKAGES}\n"


def make_root():
    if is_made():
        return
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        sys.exit("needs root and debootstrap")
    distribution, suite = release()
    mirror = ("http://deb.debian.org/debian" if distribution == "debian"
              else "http://archive.ubuntu.com/ubuntu")
    # debootstrap mounts /proc in there: in a mount namespace of our own, so that one that is killed
    # leaves no mount in the cache, which somebody will delete one day.
    if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
        sys.exit(f"a mount namespace: {os.strerror(ctypes.get_errno())}")
    fresh = ROOT.with_name("boot-root.new")
    shutil.rmtree(fresh, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}"]
    if distribution == "ubuntu":
        command.append("--components=main,universe")
    # Some packages (python3-cryptography) are left unconfigured by it: apt finishes them.
    done = subprocess.run(command + [suite, str(fresh), mirror], stdout=subprocess.DEVNULL)
    inside = ["chroot", str(fresh), "env", "DEBIAN_FRONTEND=noninteractive"]
    mended = subprocess.run(inside + ["apt-get", "-f", "-y", "-q", "install"],
                            stdout=subprocess.DEVNULL)
    if mended.returncode != 0 or not (fresh / "usr/bin/cloud-init").exists():
        sys.exit(f"debootstrap ended with {done.returncode}")
    subprocess.run(inside + ["apt-get", "clean"], check=True)
    for stale in (fresh / "etc/machine-id", fresh / "etc/resolv.conf"):
        stale.unlink(missing_ok=True)
    # Units of the real machine that only cost time here.
    for unit in ("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer",
                 "systemd-networkd-wait-online.service", "getty@.service", "console-getty.service"):
        link = fresh / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    (fresh / "etc/cloud/cloud.cfg.d/90-test.cfg").write_text(
        "datasource_list: [NoCloud]\nnetwork: {config: disabled}\n")
    (fresh / ".stamp").write_text(stamp_text())
    shutil.rmtree(ROOT, ignore_errors=True)
    fresh.rename(ROOT)


def mount(source, target, kind, options=""):
    if libc.mount(source.encode(), str(target).encode(), kind.encode(), 0, options.encode()):
        raise OSError(ctypes.get_errno(), f"mounting {kind} on {target}: "
                      + os.strerror(ctypes.get_errno()))


class Container:
    """One machine. `folder` is the test's."""

    numbers = itertools.count()

    def __init__(self, folder):
        self.name = f"mf{os.getpid()}n{next(Container.numbers)}"
        self.folder = pathlib.Path(folder)
        self.disk = self.folder / "merged"
        self.log = self.folder / "console.log"
        self.process = None
        self.ended_at = None
        for part in ("layer", "merged"):
            (self.folder / part).mkdir(parents=True)
        # A file system in memory: a machine's disk that can be made small, and is gone afterwards.
        mount("tmpfs", self.folder / "layer", "tmpfs", "size=1g")
        for part in ("upper", "work"):
            (self.folder / "layer" / part).mkdir()
        mount("overlay", self.disk, "overlay",
              f"lowerdir={ROOT},upperdir={self.folder}/layer/upper,workdir={self.folder}/layer/work")
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        subprocess.run(["ip", "-n", self.name, "link", "set", "lo", "up"], check=True)

    def listen(self):
        """A listening socket on the machine's loopback, and its port."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            if libc.setns(there, 0x40000000):
                raise OSError(ctypes.get_errno(), "setns")
            made = socket.create_server(("127.0.0.1", 0), backlog=64)
        finally:
            libc.setns(here, 0x40000000)
            os.close(here)
            os.close(there)
        return made, made.getsockname()[1]

    def put(self, path, text, mode=0o644):
        target = self.disk / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text if isinstance(text, bytes) else text.encode())
        target.chmod(mode)

    def groups(self):
        """Control groups of the machine's own: its systemd is in charge below them. Two machines in
        one group would take each other's processes for theirs, and wait for their end."""
        tops = [pathlib.Path("/sys/fs/cgroup") / part for part in ("systemd", "unified")]
        if not tops[0].is_dir():
            tops = [pathlib.Path("/sys/fs/cgroup")]
        return [top / self.name for top in tops if (top / "cgroup.procs").exists()]

    def enter_groups(self):
        for group in self.groups():
            group.mkdir(exist_ok=True)
            (group / "cgroup.procs").write_text("0")

    def leave_no_groups(self):
        for group in self.groups():
            for folder, _, _ in os.walk(group, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    pass   # a process that is ending yet: an empty group costs nothing

    def boot(self):
        self.started_at = time.monotonic()
        # A clock since boot of its own, as a machine has.
        uptime = int(float(open("/proc/uptime").read().split()[0]))
        self.process = subprocess.Popen(
            ["unshare", "--time", f"--boottime=-{uptime}", f"--monotonic=-{uptime}",
             "systemd-nspawn", "-q", "-b", "--register=no", "--keep-unit", f"--machine={self.name}",
             f"--network-namespace-path=/run/netns/{self.name}", "--console=pipe", "-D",
             str(self.disk), "--", "systemd.log_target=journal"],
            stdin=subprocess.DEVNULL, stdout=open(self.log, "ab"), stderr=subprocess.STDOUT,
            start_new_session=True, preexec_fn=self.enter_groups)

    def age(self):
        return time.monotonic() - self.started_at

    def is_on(self):
        return self.process is not None and self.process.poll() is None

    def wants_to_boot_again(self):
        """Whether it has rebooted: systemd-nspawn --keep-unit leaves starting it again to us."""
        return self.process.poll() == 133

    def leader(self):
        """The number, out here, of the machine's first process; None before and after."""
        try:
            children = open(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read()
            return int(children.split()[0])
        except (OSError, IndexError, AttributeError):
            return None

    def path(self, inside):
        """The file as the machine sees it, with what it has mounted."""
        return pathlib.Path(f"/proc/{self.leader()}/root") / inside.lstrip("/")

    def read(self, inside):
        try:
            return self.path(inside).read_text(errors="replace")
        except OSError:
            return ""

    def run(self, *command, timeout=30):
        leader = self.leader()
        if leader is None:
            return subprocess.CompletedProcess(command, 255, "", "the machine is off")
        return subprocess.run(["nsenter", "-t", str(leader), "-m", "-u", "-i", "-n", "-p", "-T",
                               "--", *command], capture_output=True, text=True, errors="replace",
                              timeout=timeout, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})

    def processes(self, words):
        """Numbers, out here, of the machine's processes with these words in their command line."""
        found = []
        leader = self.leader()
        if leader is None:
            return found
        space = os.readlink(f"/proc/{leader}/ns/pid")
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                line = open(f"/proc/{entry}/cmdline", "rb").read().replace(b"\0", b" ").decode()
                if words in line and os.readlink(f"/proc/{entry}/ns/pid") == space:
                    found.append(int(entry))
            except OSError:
                pass
        return found

    def signal(self, words, number):
        hit = self.processes(words)
        for pid in hit:
            os.kill(pid, number)
        return hit

    def destroy(self):
        """As a provider does it: at once."""
        if self.is_on():
            self.ended_at = time.monotonic()
            leader = self.leader()
            if leader:
                os.kill(leader, signal.SIGKILL)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)

    def remove(self):
        self.destroy()
        self.leave_no_groups()
        subprocess.run(["ip", "netns", "delete", self.name], check=False)
        for part in ("merged", "layer"):
            libc.umount2(str(self.folder / part).encode(), 2)
        shutil.rmtree(self.folder, ignore_errors=True)


if __name__ == "__main__":
    make_root()
