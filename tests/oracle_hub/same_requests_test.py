"""Our client and the official one do the same work; the requests that change something are compared.

They must be equal line by line: method, path, query, body (contents by length, hashes masked), content
type, and whether the token went along. Three differences are known and allowed: the text of the commit's
summary, when the model card is checked, and the order of large files (the official client sends them
from several threads).
"""

import hashlib
import itertools
import json
import os
import pathlib
import subprocess

from served import Served, prepare_environment, use_interpreter

use_interpreter("oracle")

OPTIONS = ("--multipart-above", 1_000_000, "--part-size", 300_000, "--page-size", 2)
REPO = "alice/demo-lora"


def make_files(folder):
    (folder / "logs").mkdir(parents=True)
    noise = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(40_000))
    (folder / "adapter_model.safetensors").write_bytes(noise[:500_000])
    (folder / "optimizer.safetensors").write_bytes(noise[:1_200_001])
    (folder / "adapter_config.json").write_text('{"r": 16}')
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Card\n")
    (folder / "empty.txt").write_text("")
    (folder / "logs" / "a b é.txt").write_text("log")


def by_ours(served, folder):
    environment = dict(os.environ, HF_ENDPOINT=served.endpoint, HF_TOKEN=served.token,
                       HOME=str(served.folder), XDG_STATE_HOME=str(served.folder / "state"))
    launch = os.path.join(os.environ["MAYFLY_BIN"], "launch")

    def hub(*words):
        done = subprocess.run([launch, "hub", *map(str, words)], env=environment, text=True,
                              capture_output=True)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    hub("create", REPO, "--private")
    for branch in ("ckpt/epoch-2", "main"):
        hub("put", f"{REPO}@{branch}", folder)
    hub("put", f"{REPO}@main", folder / "adapter_config.json", "new/config.json")
    copy = served.folder / "copy"
    hub("get", f"{REPO}@ckpt/epoch-2", copy)
    for file in folder.rglob("*"):
        if file.is_file():
            assert (copy / file.relative_to(folder)).read_bytes() == file.read_bytes(), file
    assert hub("branches", REPO).split() == ["ckpt/epoch-2", "main"]


def by_theirs(served, folder):
    from huggingface_hub import HfApi

    api = HfApi(endpoint=served.endpoint, token=served.token)
    api.create_repo(REPO, private=True)
    api.create_branch(REPO, branch="ckpt/epoch-2")
    for branch in ("ckpt/epoch-2", "main"):
        api.upload_folder(repo_id=REPO, folder_path=folder, revision=branch)
    api.upload_file(path_or_fileobj=folder / "adapter_config.json", path_in_repo="new/config.json", repo_id=REPO)


def changes(requests):
    """The requests that change something, without what may differ."""
    kept = []
    for request in requests:
        if request["method"] not in ("POST", "PUT", "DELETE") or "validate-yaml" in request["path"]:
            continue
        if "/commit/" in request["path"]:
            assert request["body"][0]["key"] == "header"
            request["body"][0]["value"]["summary"] = "..."
        kept.append(request)

    def moves_bytes(request):
        return request["origin"] == "storage" or request["path"].endswith("/verify")

    groups = itertools.groupby(kept, moves_bytes)
    return [request for moving, group in groups
            for request in (sorted(group, key=json.dumps) if moving else group)]


def run(work):
    with Served(*OPTIONS) as served:
        prepare_environment(served)
        folder = served.folder / "checkpoint"
        make_files(folder)
        work(served, folder)
        requests = served.requests()
    assert any("validate-yaml" in request["path"] for request in requests), "the card must be checked"
    return changes(requests)


ours = run(by_ours)
theirs = run(by_theirs)
for mine, official in zip(ours, theirs):
    assert mine == official, f"\nours:     {mine}\nofficial: {official}"
assert len(ours) == len(theirs), (ours[len(theirs):], theirs[len(ours):])
assert len(ours) > 15, "that is too little work to prove anything"
print(f"{len(ours)} requests, equal")
