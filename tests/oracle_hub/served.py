"""A localhub of its own for one script, and the interpreter to run the script with."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

SKIPPED = 77


def use_interpreter(name):
    """Goes on in the virtual environment `name` of the cache, or ends as skipped."""
    folder = pathlib.Path(os.environ["MAYFLY_CACHE"]) / name
    if pathlib.Path(sys.prefix).resolve() == folder.resolve():
        return
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"skipped: {python} is missing; it holds the official client to compare with")
        sys.exit(SKIPPED)
    os.execv(python, [str(python), *sys.argv])


class Served:
    """Starts localhub in a temporary folder; ends it and removes the folder afterwards."""

    def __init__(self, *options, faults=None):
        self.options = options
        self.faults = faults

    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="mayfly-hub-")
        self.folder = pathlib.Path(self.temporary.name)
        self.log = self.folder / "requests.jsonl"
        self.start()
        return self

    def start(self):
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        command = [os.path.join(os.environ["MAYFLY_BIN"], "localhub"), "--root", self.folder / "root",
                   "--ready-file", ready, "--request-log", self.log, *self.options]
        if self.faults is not None:
            (self.folder / "faults.json").write_text(json.dumps(self.faults))
            command += ["--faults", self.folder / "faults.json"]
        self.process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
        for _ in range(600):
            if ready.exists() or self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.ready = json.loads(ready.read_text())
        self.endpoint = self.ready["endpoint"]
        self.token = (self.folder / "root" / "token").read_text().strip()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(20) == 0, "localhub must end cleanly when asked to"

    def __exit__(self, *_):
        self.stop()
        self.temporary.cleanup()

    def requests(self):
        """The requests since the last call."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        self.log.write_text("")
        return lines


def prepare_environment(served):
    """To be called before huggingface_hub is imported: it reads the environment once."""
    os.environ["HF_HUB_DISABLE_XET"] = "1"  # localhub has no Xet store; docs/localhub.md
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["NO_PROXY"] = "127.0.0.1"
    os.environ["HF_ENDPOINT"] = served.endpoint
    os.environ["HF_HOME"] = str(served.folder / "hf-home")
    os.environ.pop("HF_TOKEN", None)
