#!/usr/bin/env python3
"""Writes requirements/runtime.txt: wheels that hold the trainer's libraries, and which of their files.

Versions and hashes are those of the other files of requirements/; addresses and sizes come from PyPI's
index (https://docs.pypi.org/api/index-api/), the files from each wheel's directory, read by HTTP ranges.
"""
import io
import json
import pathlib
import re
import sys
import urllib.request
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
# In the order in which they are fetched.
WHEELS = ["torch", "nvidia-cuda-runtime", "nvidia-cuda-cupti", "nvidia-cublas", "nvidia-cuda-nvrtc",
          "nvidia-cudnn-cu13", "nvidia-cufft", "nvidia-cufile", "nvidia-curand", "nvidia-cusolver",
          "nvidia-cusparse", "nvidia-cusparselt-cu13", "nvidia-nccl-cu13", "nvidia-nvjitlink",
          "nvidia-nvshmem-cu13"]
ANY_MACHINE = {"nvidia-cuda-runtime", "nvidia-cuda-cupti"}
TORCH_ANY_MACHINE = {"libc10.so", "libgomp.so.1", "libtorch_cpu.so"}
# What only Python's torch loads, what only CUDA's profilers and second interfaces use.
LEFT_OUT = re.compile(r"libtorch_python|libshm|libtorch\.so|libtorch_global_deps|libcheckpoint|libnvperf"
                      r"|libpcsampling|libnvblas|libcufftw|libcufile_rdma|libcusolverMg|\.alt\.")


def pinned():
    found = {}
    for path in (ROOT / "requirements").glob("*.txt"):
        for name, version, rest in re.findall(r"^([a-z0-9-]+)==(\S+)((?: *\\\n +--hash=\S+)+)",
                                              path.read_text(), re.M):
            found.setdefault(name, (version, set()))[1].update(re.findall(r"sha256:(\w+)", rest))
    return found


class Remote(io.RawIOBase):
    """A file behind HTTP ranges, as zipfile wants it."""

    def __init__(self, url, size):
        self.url, self.size, self.at = url, size, 0

    def seekable(self):
        return True

    def tell(self):
        return self.at

    def seek(self, offset, whence=0):
        self.at = offset + (0, self.at, self.size)[whence]
        return self.at

    def read(self, count=-1):
        end = self.size if count < 0 else min(self.size, self.at + count)
        if end <= self.at:
            return b""
        request = urllib.request.Request(self.url, headers={"Range": f"bytes={self.at}-{end - 1}"})
        data = urllib.request.urlopen(request).read()
        self.at += len(data)
        return data


HEAD = """\
# The trainer's libraries, as a rented machine fetches them: wheels, and the files that are unpacked of each.
# Written by scripts/runtime_list.py. `any`: on every machine; `gpu`: where there is a GPU.
#   wheel WHERE NAME VERSION SHA256 BYTES URL
#   file WHERE NAME BYTES"""


def main():
    pins = pinned()
    print(HEAD)
    for name in WHEELS:
        version, hashes = pins[name]
        request = urllib.request.Request(f"https://pypi.org/simple/{name}/", headers={
            "Accept": "application/vnd.pypi.simple.v1+json"})
        wheel = next(w for w in json.load(urllib.request.urlopen(request))["files"]
                     if w["hashes"].get("sha256") in hashes and "x86_64" in w["filename"]
                     and ("cp311" in w["filename"] or name != "torch"))
        where = "any" if name in ANY_MACHINE | {"torch"} else "gpu"
        print("wheel", where, name, version, wheel["hashes"]["sha256"], wheel["size"], wheel["url"])
        with zipfile.ZipFile(Remote(wheel["url"], wheel["size"])) as archive:
            for file in archive.infolist():
                base = file.filename.rsplit("/", 1)[-1]
                if not re.search(r"^(torch|nvidia/[^/]+)/lib/[^/]+\.so(\.[0-9.]+)?$", file.filename):
                    continue
                if LEFT_OUT.search(base):
                    continue
                kind = "gpu" if name == "torch" and base not in TORCH_ANY_MACHINE else where
                print("file", kind, file.filename, file.file_size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
