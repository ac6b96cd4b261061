"""`train export` against llama.cpp's own converter, run on what `train merge` wrote: the same tensors in the same
types, bit for bit, and the same keys. The converter is Python inside the sdist of llama-cpp-python that `./dev setup`
has fetched for the template engine; without that file only gguf's reader checks ours.

The file holds the model too: its matrices are put back under transformers' names, and the logits are those of the
merged model, within 5e-3 of the largest for f16 and 0.2 for q8_0: eight bits cost such a model of random numbers 0.05
by themselves (the bits are the converter's), a matrix in another's place costs it all.
"""
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "reference"))
# gguf is among set-up's tools, which have other versions of what the reference packages need: so at the end.
sys.path += map(str, pathlib.Path(os.environ["MAYFLY_CACHE"]).glob("tools/lib/python3*/site-packages"))
try:
    import gguf
    import lora_sft
    import numpy as np
    import torch
    import transformers
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

BIN, CACHE = pathlib.Path(os.environ["MAYFLY_BIN"]), pathlib.Path(os.environ["MAYFLY_CACHE"])
TINY = pathlib.Path(__file__).parent.parent / "data" / "tiny"
SDIST = CACHE / "wheels" / "llama_cpp_python-0.3.36.tar.gz"
TOKENS = [5, 17, 300, 42, 9, 1, 250, 33]
LOGIT = {"f16": 5e-3, "q8_0": 0.2, "bf16": 5e-2, "f32": 1e-5}
# What the converter takes from a model card, or writes of a model's size; ours says the folder's name.
DESCRIPTION = ("general.name", "general.size_label", "general.basename", "general.finetune", "general.tags",
               "general.languages", "general.license", "general.sampling", "general.version", "GGUF.")
SCALED = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64, "rope_theta": 10000.0}
# The converter knows tokenizers by what becomes of one text, so it does not know the tests' own; and it looks for
# SentencePiece's package before it reads tokenizer.json. One process for all conversions: its imports take longest.
CONVERT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from conversion import base, llama
llama.LlamaModel.set_vocab = lambda self: self._set_vocab_gpt2()
find = base.TextModel.get_vocab_base_pre
import convert_hf_to_gguf
for line in sys.stdin:
    known, *words = json.loads(line)
    base.TextModel.get_vocab_base_pre = find if known == "known" else lambda self, tokenizer: "smollm"
    sys.argv = ["convert", *words]
    convert_hf_to_gguf.main()
    print("converted", flush=True)
"""
CASES = {
    "tied, head width 16": dict(tie_word_embeddings=True, head_dim=16),
    "untied, scaled rope": dict(tie_word_embeddings=False, rope_parameters=SCALED, max_position_embeddings=512),
    "rows that are no whole blocks": dict(tie_word_embeddings=True, intermediate_size=80),
}


def run(*words):
    done = subprocess.run([BIN / "train", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def unpacked_converter(folder):
    """Its folder, next to the test's files."""
    if not SDIST.exists():
        print(f"skipped: llama.cpp's converter is not there ({SDIST.name}): ./dev setup fetches it")
        sys.exit(77)
    with tarfile.open(SDIST) as packed:
        wanted = [m for m in packed.getmembers() if "/vendor/llama.cpp/" in m.name and
                  ("/conversion/" in m.name or "/gguf-py/gguf/" in m.name or m.name.endswith("convert_hf_to_gguf.py"))]
        packed.extractall(folder, members=wanted, filter="data")
    return next(folder.glob("*/vendor/llama.cpp"))


class Converter:
    def __init__(self, folder):
        self.said = folder / "converter.log"
        self.process = subprocess.Popen([sys.executable, "-c", CONVERT, unpacked_converter(folder)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(self.said, "w"))

    def convert(self, known, model, out, *options):
        print(json.dumps([known, *map(str, (model, "--outfile", out, *options))]), file=self.process.stdin, flush=True)
        assert self.process.stdout.readline() == "converted\n", self.said.read_text()[-3000:]
        return read(out)


def make_model(folder, settings):
    torch.manual_seed(3)
    made = dict(vocab_size=400, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
                num_key_value_heads=2, rms_norm_eps=1e-5, initializer_range=0.2, bos_token_id=1, eos_token_id=2) | settings
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**made)).save_pretrained(folder)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (folder / file).write_bytes((TINY / file).read_bytes())


def read(path):
    reader = gguf.GGUFReader(path)
    keys = {name: field.contents() for name, field in reader.fields.items() if not name.startswith(DESCRIPTION)}
    return keys, {t.name: (t.tensor_type, list(map(int, t.shape)), np.array(t.data)) for t in reader.tensors}


def compare(ours, theirs, case):
    keys, tensors = ours
    right_keys, right = theirs
    assert set(tensors) == set(right), set(tensors) ^ set(right)
    for name, (kind, shape, data) in right.items():
        assert tensors[name][:2] == (kind, shape), (case, name, tensors[name][:2], kind, shape)
        assert np.array_equal(tensors[name][2], data), (case, name)
    for name, value in right_keys.items():
        assert keys.get(name) == value, (case, name, str(keys.get(name))[:200], str(value)[:200])
    # What it leaves to the reader's default, which is no token for a tokenizer that adds none.
    more = {n: v for n, v in keys.items() if n not in right_keys}
    assert more in ({}, {"tokenizer.ggml.add_bos_token": False}), (case, more)


def check_smollm2(converter, folder):
    """The real tokenizer, by the name that the converter itself finds for it."""
    model = CACHE / "smollm2-135m-instruct"
    if not model.exists():
        return
    run("export", "--model", model, "--out", folder / "smollm2.gguf", "--type", "q8_0", "--json")
    ours = read(folder / "smollm2.gguf")
    right, _ = converter.convert("known", model, folder / "reference.gguf", "--vocab-only")
    compare((({n: v for n, v in ours[0].items() if n in right or n == "tokenizer.ggml.add_bos_token"}), {}), (right | {
        "general.file_type": 7}, {}), "SmolLM2's text")
    print(f"SmolLM2: {len(right)} keys equal, {len(ours[1])} tensors")


NAMES = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
         "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
         "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
OUTSIDE = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
           "output.weight": "lm_head.weight"}


def put_back(model, tensors):
    """The file's numbers in the model's places, with the rows of q and k back in halves."""
    state = model.state_dict()
    for name, (kind, _, data) in tensors.items():
        if name == "rope_freqs.weight":
            continue
        values = torch.from_numpy(gguf.quants.dequantize(data, kind).astype(np.float32).copy())
        target = OUTSIDE.get(name)
        if target is None:
            _, layer, part, _ = name.split(".")
            target = f"model.layers.{layer}.{NAMES[part]}.weight"
            if part in ("attn_q", "attn_k"):
                heads = model.config.num_attention_heads if part == "attn_q" else model.config.num_key_value_heads
                values = values.reshape(heads, -1, 2, values.shape[-1]).transpose(1, 2).reshape(values.shape)
        state[target].copy_(values.reshape(state[target].shape))
    return model


def check(case, converter, folder):
    base, tuned, merged = folder / "model", folder / "adapter", folder / "merged"
    make_model(base, CASES[case])
    lora_sft.new_adapter(base, tuned, rank=8, alpha=20.0, b_std=0.2, seed=4)
    run("merge", "--model", base, "--adapter", tuned, "--out", merged, "--json")
    model = lora_sft.load(merged)
    right = lora_sft.logits(model, TOKENS)
    for kind, bound in LOGIT.items():
        out = folder / f"{kind}.gguf"
        told = run("export", "--model", base, "--adapter", tuned, "--out", out, "--type", kind, "--json")
        ours = read(out)
        assert told["tensors"] == len(ours[1])
        assert (told["kept_in_f16"] > 0) == (kind == "q8_0" and "no whole blocks" in case), told
        reference = folder / f"reference-{kind}.gguf"
        compare(ours, converter.convert("unknown", merged, reference, "--outtype", kind), (case, kind))
        off = ((lora_sft.logits(put_back(lora_sft.load(merged), ours[1]), TOKENS) - right).abs().max() /
               right.abs().max()).item()
        print(f"{case}, {kind}: {len(ours[1])} tensors equal to the converter, logits {off:.1e}")
        assert off < bound, (case, kind, off)


with tempfile.TemporaryDirectory() as temporary:
    found = Converter(pathlib.Path(temporary))
    check_smollm2(found, pathlib.Path(temporary))
    for number, name in enumerate(CASES):
        work = pathlib.Path(temporary) / str(number)
        work.mkdir()
        check(name, found, work)
