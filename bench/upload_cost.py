"""What publishing a checkpoint every half a minute costs the training beside it: whole runs at a hub
on this machine, with and without uploads in turn.

    upload_cost.py BIN MODEL DATA [--rounds 3] [--epochs 5] [--rows 200]

Every epoch ends with a checkpoint of some 20 MB; `--rows` makes an epoch last half a minute. A run's
rate is its tokens over the time from the end of its first step to the end of its last, saving of
checkpoints included, so what is compared is uploading alone. The hub is a program of this machine as
well, and what it computes is counted against us: processor seconds of agent and hub are shown apart.
"""
import argparse
import datetime
import json
import os
import pathlib
import signal
import statistics
import subprocess
import tempfile
import threading

HELPERS = ("agent", "localhub")
RUN = """version: 1
phase: sft
provider: local
model: {{base: {model}}}
data: {{path: {data}, sample_size: {rows}, test_size: 0, train_on: all}}
train: {{epochs: {epochs}, batch_size: 8, warmup_ratio: 0}}
hub: {{push_checkpoints: {push}}}
instance: {{price: 1}}
limits: {{spend_limit: 5, ttl_hours: 1}}
"""


def seconds_of(utc):
    return datetime.datetime.fromisoformat(utc.replace("Z", "+00:00")).timestamp()


class Helpers(threading.Thread):
    """Follows the processor seconds of agent and hub, by process, until stopped."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.stopped, self.seconds = str(folder), threading.Event(), {}
        self.hubs = set()

    def run(self):
        while not self.stopped.wait(0.5):
            for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
                try:
                    name, fields = stat.read_text().split("(", 1)[1].rsplit(")", 1)
                    if name not in HELPERS:
                        continue
                    if self.folder not in (stat.parent / "environ").read_text(errors="replace"):
                        continue
                except OSError:
                    continue
                if name == "localhub":
                    self.hubs.add(int(stat.parent.name))
                user, system = fields.split()[11:13]
                self.seconds[stat.parent.name] = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def whole_run(bin_folder, push, options):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "run.yaml").write_text(RUN.format(
            model=options.model, data=options.data, rows=options.rows, epochs=options.epochs,
            push=str(push).lower()))
        environment = dict(os.environ, MAYFLY_STATE_DIR=str(folder / "state"),
                           XDG_DATA_HOME=str(folder / "data"))
        helpers = Helpers(folder)
        helpers.start()
        try:
            subprocess.run([bin_folder / "launch", "run.yaml", "--run-name", "run", "--follow", "-y", "-q"],
                           cwd=folder, env=environment, check=True)
        finally:
            helpers.stopped.set()
            helpers.join()
            for hub in helpers.hubs:  # it would wait for the next run, which has one of its own
                os.kill(hub, signal.SIGTERM)
        events = [json.loads(line) for line in
                  (folder / "outputs/run/events.jsonl").read_text().splitlines()]
        uploaded = list((folder / "outputs/run/agent/uploaded").iterdir()) if push else []
    steps = [(seconds_of(e["time"]), e["tokens"]) for e in events if e["event"] == "step"]
    saved = [e for e in events if e["event"] == "checkpoint"]
    took = steps[-1][0] - steps[0][0]
    return {"rate": sum(tokens for _, tokens in steps[1:]) / took, "took": took, "saved": len(saved),
            "uploaded": len(uploaded), "bytes": saved[-1]["bytes"],
            "helpers_s": sum(helpers.seconds.values())}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("bin", type=pathlib.Path)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rows", type=int, default=200)
    options = parser.parse_args()

    slower, helpers = [], []
    for i in range(options.rounds):
        runs = {}
        for push in ((True, False) if i % 2 == 0 else (False, True)):
            one = runs[push] = whole_run(options.bin.resolve(), push, options)
            print(f"round {i + 1}, {'with uploads   ' if push else 'without uploads'}: "
                  f"{one['rate']:.1f} tokens/s, {one['took']:.0f} s, {one['saved']} checkpoints saved, "
                  f"{one['uploaded']} uploaded, agent and hub {one['helpers_s']:.2f} processor seconds", flush=True)
        if runs[True]["uploaded"] < options.epochs:
            raise SystemExit(f"only {runs[True]['uploaded']} of {options.epochs} checkpoints were uploaded")
        slower.append(100 * (runs[False]["rate"] / runs[True]["rate"] - 1))
        helpers.append((runs[True]["helpers_s"] - runs[False]["helpers_s"]) / options.epochs)
    last = runs[True]
    print(f"a checkpoint of {last['bytes'] / 1e6:.1f} MB every {last['took'] / options.epochs:.0f} s: "
          f"training slower by {statistics.median(slower):.2f} % [{min(slower):.2f} to {max(slower):.2f}] (goal 1); "
          f"agent and hub {statistics.median(helpers):.2f} processor seconds an upload")


if __name__ == "__main__":
    main()
