"""The NF4 kernels against bitsandbytes' CPU path, bit for bit: packed weights, scales, and weights
restored from scales that bitsandbytes quantised. A wrong bit would be a wrong model that trains."""
import os
import subprocess
import sys
import tempfile

try:
    import torch
    import bitsandbytes.functional as bnb
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

TOOL = os.path.join(os.environ["MAYFLY_BIN"], "kernel_nf4")
TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


def raw(tensor):
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()


def ours(name, weight, state):
    with tempfile.TemporaryDirectory() as folder:
        given = {
            "weights": weight.reshape(-1),
            "scales": torch.cat([state.offset.reshape(1).float(), state.state2.code]),
            "given_quantized": state.absmax,
            "given_scale": state.state2.absmax,
        }
        for file, tensor in given.items():
            with open(os.path.join(folder, file), "wb") as out:
                out.write(raw(tensor))
        subprocess.run([TOOL, name, folder], check=True)
        return {file: open(os.path.join(folder, file), "rb").read() for file in
                ("packed", "absmax", "mean", "quantized", "scale", "code", "weight")}


def differing(got, tensor):
    """How many bytes differ; all, where the lengths do."""
    want = raw(tensor)
    if len(got) != len(want):
        return max(len(got), len(want))
    return sum(a != b for a, b in zip(got, want))


def compare_scales(got, absmax, state):
    """bitsandbytes' CPU path gives about one scale in 700, more where an outlier presses them together,
    a code beside the nearest. Ours is the nearest always, so a difference is a neighbour, and ours
    is the nearer. Returns how many."""
    quantized = torch.frombuffer(bytearray(got["quantized"]), dtype=torch.uint8).long()
    theirs = state.absmax.long()
    code = state.state2.code
    per_scale = state.state2.absmax.repeat_interleave(256)[:absmax.numel()]
    normed = (absmax - state.offset) / per_scale
    at = (quantized != theirs).nonzero()[:, 0]
    assert ((quantized - theirs)[at].abs() == 1).all()
    assert ((code[quantized] - normed)[at].abs() <= (code[theirs] - normed)[at].abs()).all()
    return len(at)


def compare(name, weight, outlier=False):
    packed, state = bnb.quantize_4bit(weight, blocksize=64, compress_statistics=True,
                                      quant_type="nf4")
    _, plain = bnb.quantize_4bit(weight, blocksize=64, compress_statistics=False, quant_type="nf4")
    restored = bnb.dequantize_4bit(packed, state)
    got = ours(name, weight, state)
    wrong = {
        "packed": differing(got["packed"], packed),
        "absmax": differing(got["absmax"], plain.absmax),
        "scale": differing(got["scale"], state.state2.absmax),
        "weight": differing(got["weight"], restored),
    }
    others = compare_scales(got, plain.absmax, state)
    # The table differs in the last bit from one processor to another (torch.linspace); and the CPU
    # path of bitsandbytes writes -1 over its first code.
    code = torch.frombuffer(bytearray(got["code"]), dtype=torch.float32)
    torch.testing.assert_close(code[1:], state.state2.code[1:], rtol=2.4e-7, atol=0)
    mean = torch.frombuffer(bytearray(got["mean"]), dtype=torch.float32)[0]
    print(name, tuple(weight.shape), wrong, "scales that differ", others, "mean", float(mean), float(state.offset))
    assert not any(wrong.values()), wrong
    assert others <= (2 + plain.absmax.numel() // 200 if not outlier else plain.absmax.numel() // 2)
    assert abs(mean - state.offset) <= 1e-6 * abs(state.offset)


def main():
    torch.manual_seed(1)
    for name, dtype in TYPES.items():
        for shape in ((64, 64), (256, 512), (128, 1000)):
            compare(name, (torch.randn(shape) * 0.02).to(dtype))
    # Outliers, a block of zeros, weights on the middles between codes.
    weight = torch.randn(128, 128) * 0.02
    weight[3, 5] = 4.0
    weight[7] = 0.0
    compare("bf16", weight.to(torch.bfloat16), outlier=True)
    compare("fp32", weight, outlier=True)
    print("the same bits as bitsandbytes")


main()
