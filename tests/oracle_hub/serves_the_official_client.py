"""Everything that the official client does with a hub, done with localhub.

    python serves_the_official_client.py oracle|oracle-hub0

Each function is one subject; the first that fails ends the script. The client's own errors are part
of what is compared: it derives them from statuses and headers that are easily got wrong.
"""

import hashlib
import os
import pathlib
import sys

from served import Served, prepare_environment, use_interpreter

use_interpreter(sys.argv[1])

REPO = "alice/demo-lora"
MULTIPART_ABOVE = 1_000_000
PART = 300_000


def git_blob(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def raises(error, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except error as caught:
        return caught
    raise AssertionError(f"{call.__name__} did not raise {error}")


def accounts_and_repositories(api):
    assert api.whoami()["name"] == "local"
    url = api.create_repo(REPO, private=True)
    assert str(url).endswith(REPO), url
    assert str(api.create_repo(REPO, private=True, exist_ok=True)).endswith(REPO)
    assert raises(HfHubHTTPError, api.create_repo, REPO).response.status_code == 409
    assert api.repo_exists(REPO) and not api.repo_exists("alice/absent")
    assert api.repo_info(REPO).private is True
    api.create_repo("alice/data", repo_type="dataset")
    assert api.repo_info("alice/data", repo_type="dataset").id == "alice/data"
    api.auth_check(REPO)
    stranger = HfApi(endpoint=api.endpoint, token=False)
    raises(RepositoryNotFoundError, stranger.repo_info, REPO)  # private: not even that it exists
    raises(RepositoryNotFoundError, api.repo_info, "alice/absent")
    assert stranger.repo_info("alice/data", repo_type="dataset").id == "alice/data"
    raises(HfHubHTTPError, stranger.create_repo, "alice/other")
    impostor = HfApi(endpoint=api.endpoint, token="hf_" + "x" * 34)
    raises(OSError, impostor.whoami)  # 0.x wraps it in an error of its own
    raises(HfHubHTTPError, impostor.create_branch, REPO, branch="b")


def branches(api):
    for branch in ("checkpoint-epoch-1", "ckpt/epoch-2"):
        api.create_branch(REPO, branch=branch)
        api.create_branch(REPO, branch=branch, exist_ok=True)
        assert raises(HfHubHTTPError, api.create_branch, REPO, branch=branch).response.status_code == 409
    api.create_branch(REPO, branch="from-main", revision="main")
    raises(RevisionNotFoundError, api.create_branch, REPO, branch="x", revision="absent")
    refs = api.list_repo_refs(REPO)
    assert {b.name for b in refs.branches} == {"main", "checkpoint-epoch-1", "ckpt/epoch-2", "from-main"}
    assert api.list_repo_refs(REPO, include_pull_requests=True).pull_requests == []
    assert raises(HfHubHTTPError, api.create_branch, REPO, branch="bad..name").response.status_code == 400
    api.delete_branch(REPO, branch="from-main")
    raises(HfHubHTTPError, api.delete_branch, REPO, branch="from-main")
    api.create_tag(REPO, tag="v1")
    assert [t.name for t in api.list_repo_refs(REPO).tags] == ["v1"]
    assert api.repo_info(REPO, revision="v1").sha == api.repo_info(REPO).sha
    api.delete_tag(REPO, tag="v1")


def small_files(api):
    config = b'{"r": 16}'
    info = api.upload_file(path_or_fileobj=config, path_in_repo="adapter_config.json", repo_id=REPO)
    head = api.repo_info(REPO).sha
    assert info.oid == head and len(head) == 40
    same = api.upload_file(path_or_fileobj=config, path_in_repo="adapter_config.json", repo_id=REPO)
    assert same.oid == head and api.repo_info(REPO).sha == head, "unchanged content makes no commit"
    entry = api.get_paths_info(REPO, ["adapter_config.json", "absent"])
    assert [e.path for e in entry] == ["adapter_config.json"]
    assert entry[0].blob_id == git_blob(config) and entry[0].lfs is None
    card = b"---\nlicense: apache-2.0\ntags: [lora]\n---\n# Card\n"
    api.upload_file(path_or_fileobj=card, path_in_repo="README.md", repo_id=REPO)
    bad_card = b"---\ntags: {a: [\n---\n"
    raises((ValueError, HfHubHTTPError), api.upload_file, path_or_fileobj=bad_card,
           path_in_repo="README.md", repo_id=REPO)
    secret = b"token " + api.token.encode()
    error = raises(HfHubHTTPError, api.upload_file, path_or_fileobj=secret, path_in_repo="a.log", repo_id=REPO)
    assert error.response.status_code == 400 and "secrets" in str(error)
    raises(RevisionNotFoundError, api.upload_file, path_or_fileobj=b"x", path_in_repo="x", repo_id=REPO,
           revision="absent")


def large_files(api, served):
    small = os.urandom(MULTIPART_ABOVE)  # at the edge: still in one piece
    large = os.urandom(4 * PART + 1)
    served.requests()
    for name, data, parts in (("small.safetensors", small, 0), ("large.safetensors", large, 5)):
        api.upload_file(path_or_fileobj=data, path_in_repo=name, repo_id=REPO)
        puts = [r for r in served.requests() if r["method"] == "PUT"]
        assert len(puts) == max(parts, 1), puts
        assert not any(r["auth"] for r in puts), "storage is asked without the token"
        entry = api.get_paths_info(REPO, name)[0]
        pointer = (f"version https://git-lfs.github.com/spec/v1\noid sha256:"
                   f"{hashlib.sha256(data).hexdigest()}\nsize {len(data)}\n").encode()
        assert entry.lfs.sha256 == hashlib.sha256(data).hexdigest() and entry.size == len(data)
        assert entry.blob_id == git_blob(pointer) and entry.lfs.pointer_size == len(pointer)
    api.upload_file(path_or_fileobj=small, path_in_repo="small.safetensors", repo_id=REPO,
                    revision="checkpoint-epoch-1")
    assert not [r for r in served.requests() if r["method"] == "PUT"], "known bytes are not sent again"
    return small, large


def folders(api, folder):
    source = folder / "checkpoint"
    (source / "logs").mkdir(parents=True)
    weights = os.urandom(50_000)
    (source / "adapter_model.safetensors").write_bytes(weights)
    (source / "adapter_config.json").write_text("{}")
    (source / "empty.txt").write_text("")
    (source / "logs" / "a b é.txt").write_text("log")
    (source / "binary.unknown").write_bytes(b"\0" * 100)
    api.upload_folder(repo_id=REPO, folder_path=source, revision="ckpt/epoch-2")
    listed = {e.path: e for e in api.list_repo_tree(REPO, revision="ckpt/epoch-2", recursive=True)}
    assert set(listed) == {".gitattributes", "adapter_model.safetensors", "adapter_config.json",
                           "empty.txt", "logs", "logs/a b é.txt", "binary.unknown"}, listed
    assert listed["binary.unknown"].lfs is not None and listed["empty.txt"].lfs is None
    top = [e.path for e in api.list_repo_tree(REPO, revision="ckpt/epoch-2")]
    assert "logs" in top and "logs/a b é.txt" not in top
    inside = [e.path for e in api.list_repo_tree(REPO, "logs", revision="ckpt/epoch-2", expand=True)]
    assert inside == ["logs/a b é.txt"]
    raises(EntryNotFoundError, lambda: list(api.list_repo_tree(REPO, "absent", revision="main")))
    attributes = pathlib.Path(api.hf_hub_download(REPO, ".gitattributes", revision="ckpt/epoch-2"))
    assert "/binary.unknown filter=lfs" in attributes.read_text()
    return weights


def downloads(api, small, large, weights):
    path = api.hf_hub_download(REPO, "large.safetensors")
    assert pathlib.Path(path).read_bytes() == large
    assert pathlib.Path(path).resolve().name == hashlib.sha256(large).hexdigest()
    path = api.hf_hub_download(REPO, "small.safetensors", revision="checkpoint-epoch-1")
    assert pathlib.Path(path).read_bytes() == small
    copy = pathlib.Path(api.snapshot_download(REPO, revision="ckpt/epoch-2"))
    assert (copy / "adapter_model.safetensors").read_bytes() == weights
    assert (copy / "logs" / "a b é.txt").read_text() == "log"
    assert (copy / "empty.txt").read_bytes() == b""
    commit = api.repo_info(REPO, revision="ckpt/epoch-2").sha
    assert copy.name == commit
    short = api.hf_hub_download(REPO, "adapter_config.json", revision=commit)
    assert pathlib.Path(short).read_text() == "{}"
    raises(EntryNotFoundError, api.hf_hub_download, REPO, "absent.txt")
    raises(RevisionNotFoundError, api.hf_hub_download, REPO, "adapter_config.json", revision="absent")
    raises(RepositoryNotFoundError, api.hf_hub_download, "alice/absent", "x")
    assert not api.file_exists(REPO, "absent.txt") and api.file_exists(REPO, "README.md")
    metadata = get_hf_file_metadata(hf_hub_url(REPO, "large.safetensors", endpoint=api.endpoint), token=api.token)
    assert metadata.etag == hashlib.sha256(large).hexdigest() and metadata.size == len(large)


def commits(api):
    before = api.repo_info(REPO).sha
    operations = [CommitOperationAdd("notes/a.txt", b"a"), CommitOperationAdd("notes/b.txt", b"b"),
                  CommitOperationDelete("adapter_config.json")]
    made = api.create_commit(REPO, operations, commit_message="Three things", commit_description="at once",
                             parent_commit=before)
    history = api.list_repo_commits(REPO)
    assert history[0].commit_id == made.oid and history[0].title == "Three things"
    assert history[0].message == "at once" and history[1].commit_id == before
    add = [CommitOperationAdd("notes/c.txt", b"c")]
    stale = raises(HfHubHTTPError, api.create_commit, REPO, add, commit_message="x", parent_commit=before)
    assert stale.response.status_code == 412
    api.create_commit(REPO, add, commit_message="Short parent", parent_commit=made.oid[:8])
    api.delete_file("notes/a.txt", REPO)
    raises(EntryNotFoundError, api.delete_file, "notes/a.txt", REPO)
    api.delete_folder("notes", REPO)
    assert not [e for e in api.list_repo_tree(REPO, recursive=True) if e.path.startswith("notes")]
    api.super_squash_history(REPO, branch="main")
    assert len(api.list_repo_commits(REPO)) == 1
    assert api.file_exists(REPO, "README.md")


def restart(api, served, large):
    """What was acknowledged is there after the process is gone."""
    before = {b.name: b.target_commit for b in api.list_repo_refs(REPO).branches}
    served.stop()
    served.options += ("--port", str(served.ready["port"]))
    served.start()
    assert {b.name: b.target_commit for b in api.list_repo_refs(REPO).branches} == before
    path = api.hf_hub_download(REPO, "large.safetensors", local_dir=served.folder / "again")
    assert pathlib.Path(path).read_bytes() == large


def endings(api):
    api.delete_repo(REPO)
    assert not api.repo_exists(REPO)
    raises(RepositoryNotFoundError, api.delete_repo, REPO)


with Served("--multipart-above", MULTIPART_ABOVE, "--part-size", PART, "--page-size", 3) as hub:
    prepare_environment(hub)
    import huggingface_hub
    from huggingface_hub import (CommitOperationAdd, CommitOperationDelete, HfApi, get_hf_file_metadata,
                                 hf_hub_url)
    from huggingface_hub.utils import (EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError,
                                       RevisionNotFoundError)

    print("huggingface_hub", huggingface_hub.__version__)
    api = HfApi(endpoint=hub.endpoint, token=hub.token)
    accounts_and_repositories(api)
    branches(api)
    small_files(api)
    small, large = large_files(api, hub)
    weights = folders(api, hub.folder)
    downloads(api, small, large, weights)
    commits(api)
    restart(api, hub, large)
    endings(api)
    log = hub.log.read_text()
    assert hub.token not in log
    assert hub.token not in "".join(str(p) for p in hub.folder.rglob("*"))
print("all of it works")
