"""Our reader of weights takes nothing that the reference reader (the package `safetensors`) refuses.

    accepts_no_more.py COUNT [SEED]

COUNT files are made from whole ones by the mistakes that have been made (shapes larger than their bytes, negative and
overlapping offsets, holes, duplicate names, wrong lengths) and by bytes at random; with them go the fixed files of
tests/data/fuzz/safetensors and whatever the fuzzer has found. What ours refuses and the reference takes is counted, not
forbidden: ours may be stricter, but a whole file it must take.
"""
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

try:
    from safetensors import SafetensorError, deserialize
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

ROOT = pathlib.Path(__file__).parent.parent.parent
PROBE = pathlib.Path(os.environ["MAYFLY_BIN"]) / "safetensors_probe"
SIZES = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2, "I32": 4,
         "U32": 4, "F32": 4, "F64": 8, "I64": 8, "U64": 8}
ODD = [0, 1, -1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 1.0, 1e3, "1", None, [], True]


def whole(rng):
    header, data = {}, b""
    for index in range(rng.randrange(5)):
        dtype = rng.choice(list(SIZES))
        shape = [rng.randrange(4) for _ in range(rng.randrange(4))]
        size = SIZES[dtype]
        for dimension in shape:
            size *= dimension
        header[f"t{index}"] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + size]}
        data += rng.randbytes(size)
    if rng.random() < 0.3:
        header["__metadata__"] = {"format": "pt"}
    return header, data


def pack(text, data, rng, spoil):
    text += b" " * (-len(text) % 8) if rng.random() < 0.8 else b""
    length = len(text)
    if spoil and rng.random() < 0.1:
        length = rng.choice([0, length - 1, length + 1, length + 8, 100_000_001, 2**63, 2**64 - 1]) % 2**64
    return struct.pack("<Q", length) + text + data


def spoiled(rng):
    header, data = whole(rng)
    tensors = [entry for name, entry in header.items() if name != "__metadata__"]
    kind = rng.randrange(10)
    if tensors and kind < 6:
        entry = rng.choice(tensors)
        if kind == 0:
            entry["data_offsets"][rng.randrange(2)] = rng.choice(ODD)
        elif kind == 1:
            entry["data_offsets"] = [offset + rng.randrange(-3, 4) for offset in entry["data_offsets"]]
        elif kind == 2:
            entry["shape"] = [rng.choice(ODD) for _ in range(rng.randrange(1, 4))]
        elif kind == 3:
            entry["dtype"] = rng.choice(["F4", "", "f32", None, 3, "F8_E8M0", "C64"])
        elif kind == 4:
            entry[rng.choice(["extra", "dtype2", "Shape"])] = 1
        else:
            del entry[rng.choice(list(entry))]
    elif kind == 6:
        header["__metadata__"] = rng.choice([{"a": 1}, [], "x", None, {"a": None}, {}])
    text = json.dumps(header, separators=(",", ":")).encode()
    if kind == 7:
        text = text.replace(b'"t1"', b'"t0"')
    if kind == 8:
        data = data[:-1] if rng.random() < 0.5 else data + b"x"
    packed = pack(text, data, rng, True)
    if kind == 9:
        changed = bytearray(packed)
        for _ in range(rng.randrange(1, 4)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        packed = bytes(changed)
    return packed


def reference_takes(packed):
    try:
        deserialize(packed)
        return True
    except SafetensorError:
        return False


def main():
    count = int(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = pathlib.Path(name)
        cases = []
        for index in range(count):
            good = index % 10 == 0
            header, data = whole(rng)
            packed = pack(json.dumps(header).encode(), data, rng, False) if good else spoiled(rng)
            cases.append((packed, good))
        for found in (ROOT / "tests/data/fuzz/safetensors", ROOT / "build/fuzz/found/safetensors"):
            if found.is_dir():
                cases += [(path.read_bytes(), False) for path in sorted(found.iterdir())]
        paths = []
        for index, (packed, _) in enumerate(cases):
            path = folder / str(index)
            path.write_bytes(packed)
            paths.append(str(path))
        answers = subprocess.run([PROBE], input="\n".join(paths) + "\n", capture_output=True, text=True,
                                 errors="replace", check=True).stdout.splitlines()
    assert len(answers) == len(cases), (len(answers), len(cases))
    both = stricter = 0
    for (packed, good), answer in zip(cases, answers):
        ours, theirs = answer == "yes", reference_takes(packed)
        if good:
            assert ours and theirs, f"a whole file is refused (seed {seed}): {answer}: {packed[:400]}"
        assert theirs or not ours, f"taken, and the reference refuses it (seed {seed}): {packed[:400]}"
        both += ours and theirs
        stricter += theirs and not ours
    print(f"{len(cases)} files: {both} taken by both, {stricter} by the reference alone, none by ours alone")
    assert both > count // 10, "the test takes hardly any file: it proves nothing"


main()
