"""Runs inside of the machine's file system (chroot), with cloud-init's own modules: what becomes of
user-data that was made from hostile texts. Argument: the folder of `boot_probe hostile`.

Each must pass cloud-init's schema, have no key but ours, give back the plan byte by byte, and no text
may become a command when the real sh runs the start-up with it."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

from cloudinit import util
from cloudinit.config import cc_write_files, schema

CANARY = pathlib.Path("/canary")


def written(config):
    """The files as cloud-init's module would write them."""
    files = {}
    for item in config["write_files"]:
        kinds = cc_write_files.canonicalize_extraction(item.get("encoding"))
        content = cc_write_files.extract_contents(item["content"], kinds)
        files[item["path"]] = content if isinstance(content, bytes) else content.encode()
    return files


def start(files, root):
    """bootstrap.sh by the real sh; the fuse is a stand-in that only notes."""
    shutil.rmtree(root, ignore_errors=True)
    folder = root / "opt/mayfly"
    folder.mkdir(parents=True)
    (folder / "programs").write_bytes(files["/opt/mayfly/programs"])
    (folder / "fuse.sh").write_text('echo "$*" > "$MAYFLY_ROOT/fired"\n')
    (folder / "bootstrap.sh").write_bytes(files["/opt/mayfly/bootstrap.sh"])
    subprocess.run(["sh", folder / "bootstrap.sh"], cwd=root, capture_output=True, timeout=20,
                   env={"PATH": "/usr/bin:/bin", "MAYFLY_ROOT": str(root)})
    return (root / "fired").read_text() if (root / "fired").exists() else "not fired"


def main():
    folder = pathlib.Path(sys.argv[1])
    known_schema = schema.get_schema()
    fixed = None
    count = 0
    for path in sorted(folder.glob("*.yaml"), key=lambda p: int(p.stem)):
        text = path.read_text()
        config = util.load_yaml(text)
        assert set(config) == {"bootcmd", "write_files", "runcmd"}, (path, set(config))
        schema.validate_cloudconfig_schema(config, known_schema, strict=True)
        files = written(config)
        assert set(files) == {"/opt/mayfly/programs", "/opt/mayfly/plan.json",
                              "/opt/mayfly/bootstrap.sh"}, (path, set(files))
        plan = json.loads(files["/opt/mayfly/plan.json"])
        assert plan == json.loads(path.with_suffix(".json").read_bytes()), path
        commands = util.shellify(config["bootcmd"]) + util.shellify(config["runcmd"])
        fixed = fixed or (commands, files["/opt/mayfly/bootstrap.sh"])
        assert (commands, files["/opt/mayfly/bootstrap.sh"]) == fixed, f"{path}: other commands"
        fired = start(files, pathlib.Path("/tmp/root"))
        assert fired == "fire bootstrap\n", (path, fired)
        assert not CANARY.exists(), f"{path}: a text became a command"
        count += 1
    subprocess.run(["sh", "-n"], input=fixed[0].encode(), check=True)
    # A key that is not known passes the schema of this version: that is why we look ourselves.
    print(count)


main()
