"""Our S3 client against moto, the stand-in for AWS that boto3's users test with, and our signatures
against botocore's. What is uploaded is what boto3 reads; what boto3 changes is noticed."""

import datetime
import hashlib
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import urllib.parse

# Before moto is imported: pages of two, so that every listing has several.
os.environ["MOTO_S3_DEFAULT_MAX_KEYS"] = "2"
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "1000000"

try:
    import boto3
    from botocore.auth import S3SigV4Auth, SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    from moto.server import ThreadedMotoServer
except ImportError as missing:
    print(f"skipped: {missing}; ./dev setup makes the environment oracle-aws")
    sys.exit(77)

PROBE = os.path.join(os.environ["MAYFLY_BIN"], "s3_probe")
KEY, SECRET, SESSION = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "a+session/token=="
BUCKET, PREFIX = "my-bucket", "models/a run/"


def probe(*words, code=0, **variables):
    environment = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1", **variables}
    done = subprocess.run([PROBE, *map(str, words)], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout


def signatures(count):
    """Random requests: as botocore signs them."""
    import botocore.auth

    seed = 20261122
    print("seed", seed)
    rng = random.Random(seed)
    letters = "abcXYZ0189-._~ /+=&%:,'()*!@$;ü→"

    def text(least=0):
        return "".join(rng.choice(letters) for _ in range(rng.randint(least, 12)))

    now = botocore.auth.get_current_datetime
    botocore.auth.get_current_datetime = lambda *_, **__: datetime.datetime(2026, 11, 22, 14, 2, 11)
    for number in range(count):
        service = rng.choice(["s3", "ec2"])
        path = "/" + "/".join(urllib.parse.quote(text(), safe="-._~") for _ in range(rng.randint(0, 3)))
        if service == "ec2":
            path = "/"
        # A name alone is "name=" on both sides: botocore never sends it bare.
        query = "&".join(f"{urllib.parse.quote(text(1), safe='-._~')}={urllib.parse.quote(text(), safe='-._~')}"
                         for _ in range(rng.randint(0, 4)))
        url = f"https://host.example:{rng.choice([443, 5000])}{path}" + (f"?{query}" if query else "")
        headers = {f"x-amz-meta-{n}": text(1).strip().encode("ascii", "ignore").decode() or "x" for n in range(rng.randint(0, 3))}
        method = rng.choice(["GET", "PUT", "POST", "DELETE", "HEAD"])
        body = text().encode()
        payload = hashlib.sha256(body).hexdigest()
        session = rng.choice([None, SESSION])
        request = AWSRequest(method=method, url=url, data=body, headers=dict(headers))
        auth = S3SigV4Auth if service == "s3" else SigV4Auth
        if service == "s3":
            # botocore leaves the payload unsigned over https unless told.
            request.context["payload_signing_enabled"] = True
            request.context["client_config"] = None
        auth(Credentials(KEY, SECRET, session), service, "eu-central-1").add_auth(request)
        variables = {"AWS_SESSION_TOKEN": session} if session else {}
        ours = probe("sign", method, url, "eu-central-1", service, "2026-11-22T14:02:11Z", payload,
                     *[f"{name}={value}" for name, value in headers.items()], **variables).strip()
        assert ours == request.headers["Authorization"], (number, url, headers, ours, request.headers["Authorization"])
    botocore.auth.get_current_datetime = now
    print(count, "signatures as botocore's")


def store(server):
    endpoint = "http://%s:%s" % server.get_host_and_port()
    s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=KEY, aws_secret_access_key=SECRET)
    where = [endpoint, BUCKET, PREFIX]

    # A bucket that is not there is said so, and is not made.
    told = probe("check", *where, code=3)
    assert "NoSuchBucket" in told and "make the bucket first" in told, told
    s3.create_bucket(Bucket=BUCKET)
    probe("check", *where)
    assert s3.list_objects_v2(Bucket=BUCKET, MaxKeys=1000).get("Contents") is None, "the check leaves nothing behind"
    assert not s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads"), "nor an upload that is never done"

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        rng = random.Random(1)
        content = {"adapter_model.safetensors": rng.randbytes(12_000_000), "adapter_config.json": b"{}",
                   "empty.txt": b"", "sub/a b+c%.txt": "ü".encode(), "exact.bin": rng.randbytes(10 << 20)}
        for path, data in content.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_bytes(data)
        commit = probe("put", *where, "checkpoint-epoch-1", folder).strip()
        branch, _, digest = commit.partition("@")
        assert branch == "checkpoint-epoch-1" and len(digest) == 64, commit

        # boto3 reads what we wrote.
        for path, data in content.items():
            got = s3.get_object(Bucket=BUCKET, Key=f"{PREFIX}checkpoint-epoch-1/{path}")["Body"].read()
            assert got == data, path
        manifest = s3.get_object(Bucket=BUCKET, Key=f"{PREFIX}checkpoint-epoch-1/mayfly-manifest.json")["Body"].read()
        assert hashlib.sha256(manifest).hexdigest() == digest
        assert hashlib.sha256(content["adapter_model.safetensors"]).hexdigest() in manifest.decode()
        listed = probe("list", *where, commit).splitlines()
        assert len(listed) == len(content), listed
        assert any(line.startswith("12000000 ") and line.endswith(" 5242880 adapter_model.safetensors") for line in listed), listed
        assert not s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads")
        assert probe("branches", *where).split() == ["checkpoint-epoch-1"]

        # The same again: nothing is sent, the commit is the same.
        before = {o["Key"]: o["LastModified"] for o in s3.list_objects_v2(Bucket=BUCKET, MaxKeys=1000)["Contents"]}
        assert probe("put", *where, "checkpoint-epoch-1", folder).strip() == commit
        after = {o["Key"]: o["LastModified"] for o in s3.list_objects_v2(Bucket=BUCKET, MaxKeys=1000)["Contents"]}
        assert {k: v for k, v in before.items() if not k.endswith("manifest.json")} == \
               {k: v for k, v in after.items() if not k.endswith("manifest.json")}

        # Whatever is wrong with one object is noticed.
        weights = f"{PREFIX}checkpoint-epoch-1/adapter_model.safetensors"
        small = f"{PREFIX}checkpoint-epoch-1/adapter_config.json"
        for key, data in [(weights, content["adapter_model.safetensors"][:-1] + b"!"), (weights, b"short"),
                          (small, b"[]"), (small, None), (weights, None)]:
            original = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            s3.delete_object(Bucket=BUCKET, Key=key)
            if data is not None:
                s3.put_object(Bucket=BUCKET, Key=key, Body=data)
            told = probe("verify", *where, commit, folder, code=3)
            assert key.rsplit("/")[-1] in told, told
            s3.put_object(Bucket=BUCKET, Key=key, Body=original)
            probe("verify", *where, commit, folder)  # read back, since boto3 left no SHA-256 of ours
        # A commit that was overwritten is not the one that is listed.
        (folder / "adapter_config.json").write_bytes(b"[1]")
        newer = probe("put", *where, "checkpoint-epoch-1", folder).strip()
        assert newer != commit
        assert "another commit" in probe("list", *where, commit, code=3)

    print("store: as boto3 sees it")


def wrong_credentials(server):
    """moto checks signatures when it is told to; then a wrong secret is refused by name."""
    import moto.core.responses  # noqa: F401  (authentication is by a count of requests that need none)
    import requests

    endpoint = "http://%s:%s" % server.get_host_and_port()
    requests.post(f"{endpoint}/moto-api/reset-auth", data="0", timeout=10)
    told = probe("check", endpoint, BUCKET, PREFIX, code=3)
    assert "error 3 " in told or "403" in told, told
    assert SECRET not in told
    print("wrong credentials: refused")


def main():
    signatures(60)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        store(server)
        wrong_credentials(server)
    finally:
        server.stop()


main()
