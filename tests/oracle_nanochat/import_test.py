"""`train import --nanochat`: the folder that it writes is the model that nanochat saved. Tiny random checkpoints in
nanochat's own form; the same logits from a direct computation and from transformers, and the same loss from ours;
the same ids from tiktoken, HuggingFace tokenizers and ours; the same conversations. And what is refused.

Bounds: logits within 1e-5 of the largest, losses within 1e-6 of the value: float32, sums in another order.
"""
import json
import os
import pathlib
import pickle
import subprocess
import sys
import tempfile
import zipfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
TESTS = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(TESTS / "oracle_text"))
try:
    import nanochat_model
    import material
    import tiktoken
    import torch
    import transformers
    from safetensors.torch import load_file
    from tokenizers import Tokenizer
except ImportError as missing:
    print(f"skipped: {missing}; run ./dev setup")
    sys.exit(77)

BIN = pathlib.Path(os.environ["MAYFLY_BIN"])
TEXT = " ".join(material.WORDS + material.PUNCTUATION + material.DIGITS + material.CJK) + """
The quick brown fox doesn't jump; the lazy dog's there, they'll say we've 12 of 345 things to do.
    def quick(self): return self.lazy + 10""" * 8
TOKENS = 420
CONFIG = {"sequence_len": 256, "vocab_size": TOKENS + 9, "n_layer": 3, "n_head": 4, "n_kv_head": 4, "n_embd": 64}
CONVERSATIONS = [
    [("user", "What is 7 times 8?"), ("assistant", "7 times 8 is 56.")],
    [("system", "Be brief."), ("user", " Say\n\nit. "), ("assistant", "It's don't\n"), ("user", "12345?"),
     ("assistant", " 中文 é 😀  ")],
    [("user", ""), ("assistant", "x")],
]


def run(*words):
    return subprocess.run([BIN / "train", *map(str, words)], capture_output=True, text=True)


def messages_of(conversation):
    return [{"role": role, "content": content} for role, content in conversation]


def off(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


def check_model(name, folder, state, config, words, stored):
    """Imports a checkpoint of a model and compares all three; returns where it is."""
    base = folder / name / "base"
    torch.manual_seed(5)
    model = nanochat_model.Nanochat(config, pad=64 if name == "newer" else 1).float()
    if stored == "mixed":
        model.transformer.wte.to(torch.bfloat16)
    nanochat_model.save(base / "chatsft_checkpoints" / "d3", 7, {}, config)  # an earlier one, not to be taken
    nanochat_model.save(base / "chatsft_checkpoints" / "d3", 650, state(model), config)
    nanochat_model.save_tokenizer(base / "tokenizer", ENCODING)
    out = folder / name / "out"
    done = run("import", "--nanochat", base / "chatsft_checkpoints" / "d3", "--out", out, "--json", *words)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32, attn_implementation="eager")
    assert type(loaded).__name__ == "NanoChatForCausalLM" and told["step"] == 650, (type(loaded), told)
    assert loaded.config.rms_norm_eps == torch.finfo(torch.float32).eps  # F.rms_norm without one, in any type
    assert told["parameters"] == loaded.num_parameters() and told["tensors"] == len(loaded.state_dict()), told
    types = {t.dtype for f in out.glob("*.safetensors") for t in load_file(f).values()}
    assert types == {"mixed": {torch.float32, torch.bfloat16}, "bf16": {torch.bfloat16}}[stored], types
    if stored == "bf16":  # what nanochat's products are computed in
        model.to(torch.bfloat16).float()

    ids, mask = nanochat_model.rendered(ENCODING, messages_of(CONVERSATIONS[1]))
    with torch.no_grad():
        right, theirs = model(ids), loaded(torch.tensor([ids])).logits[0]
    rows = folder / name / "rows.jsonl"
    rows.write_text("".join(json.dumps({"messages": messages_of(c)}) + "\n" for c in CONVERSATIONS))
    summed = count = 0
    for conversation in CONVERSATIONS:
        ids, mask = nanochat_model.rendered(ENCODING, messages_of(conversation))
        with torch.no_grad():
            losses = torch.nn.functional.cross_entropy(model(ids[:-1]), torch.tensor(ids[1:]), reduction="none")
        trained = torch.tensor(mask[1:]).bool()
        summed, count = summed + losses[trained].double().sum().item(), count + int(trained.sum())
    answer = run("eval", "--model", out, "--data", rows, "--bf16", "false", "--device", "cpu", "--json")
    assert answer.returncode == 0, answer.stderr
    ours = json.loads(answer.stdout)
    print(f"{name}: transformers' logits off by {off(theirs, right):.1e}, our loss {ours['loss']:.6f} by "
          f"{abs(ours['loss'] / (summed / count) - 1):.1e}, {count} tokens, {told['shards']} shards")
    assert ours["tokens"] == count, (ours, count)
    assert off(theirs, right) < 1e-5 and abs(ours["loss"] / (summed / count) - 1) < 1e-6, (ours, summed / count)
    return out


def check_tokenizer(out):
    reference = Tokenizer.from_file(str(out / "tokenizer.json"))
    # In nanochat a text that spells a special token is letters; in tokenizer.json it is that token.
    strings = [s for s in material.hard_strings(["<|", "|>", "bos"], 3000, seed="nanochat 1")
               if not any(name in s for name in nanochat_model.SPECIAL)]
    ours = material.probe("encode", str(out), text="".join(json.dumps(s) + "\n" for s in strings).encode())
    count = 0
    for string, mine in zip(strings, ours, strict=True):
        right = ENCODING.encode_ordinary(string)
        count += len(right)
        assert reference.encode(string, add_special_tokens=False).ids == right, ("tokenizers", string)
        assert mine["ids"] == right, ("ours", string, right, mine["ids"])
    print(f"tokenizer: {len(strings)} strings, {count} tokens, no difference")
    assert reference.encode("a text").ids[0] == ENCODING.encode_single_token("<|bos|>")

    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    rows = out.parent / "chat.jsonl"
    rows.write_text("".join(json.dumps({"messages": messages_of(c)}) + "\n" for c in CONVERSATIONS))
    for conversation, mine in zip(CONVERSATIONS, material.probe("chat", str(out), str(rows)), strict=True):
        ids, mask = nanochat_model.rendered(ENCODING, messages_of(conversation))
        theirs = tokenizer.apply_chat_template(messages_of(conversation), return_dict=False)
        assert theirs == ids and mine["ids"] == ids and mine["mask"] == mask, (conversation, ids, theirs, mine)
        prompt = tokenizer.apply_chat_template(messages_of(conversation[:-1]), add_generation_prompt=True,
                                               return_dict=False)
        assert prompt == ids[:len(prompt)] and prompt[-1] == ENCODING.encode_single_token("<|assistant_start|>")
    try:
        tokenizer.apply_chat_template(messages_of([("assistant", "a"), ("user", "b")]))
        raise AssertionError("two turns in the wrong order were taken")
    except Exception as refusal:
        assert "in turn" in str(refusal), refusal


class Call:
    """Pickled as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def cut(path, by):
    path.write_bytes(path.read_bytes()[:-by])


def flip_a_weight(path):
    with zipfile.ZipFile(path) as archive:
        entry = max(archive.infolist(), key=lambda i: i.file_size)
    data = bytearray(path.read_bytes())
    data[entry.header_offset + 200 + entry.file_size // 2] ^= 4
    path.write_bytes(data)


def bad_inputs(model):
    """(what, how to spoil the folder, exit code, what must be said)"""
    state = model.state_dict()
    first = "transformer.h.0.attn.c_q.weight"

    def saved(folder, **changes):
        nanochat_model.save(folder, 3, {**state, **changes}, CONFIG)

    def without(folder):
        nanochat_model.save(folder, 3, {k: v for k, v in state.items() if k != first}, CONFIG)

    def configured(**changes):
        return lambda folder: nanochat_model.save(folder, 3, state, {**CONFIG, **changes})

    def tokenizer(made):
        return lambda folder: (folder / "tokenizer.pkl").write_bytes(pickle.dumps(made))

    def old_form(folder):
        torch.save(state, folder / "model_000003.pt", _use_new_zipfile_serialization=False)

    pt, meta, pkl = "model_000003.pt", "meta_000003.json", "tokenizer.pkl"
    ones, n = torch.ones, CONFIG["n_layer"]
    return [
        ("cut by 1 byte", lambda f: cut(f / pt, 1), 13, [pt, "zip"]),
        ("cut by half", lambda f: cut(f / pt, (f / pt).stat().st_size // 2), 13, [pt, "zip"]),
        ("empty", lambda f: (f / pt).write_bytes(b""), 13, [pt]),
        ("a bit of a weight", lambda f: flip_a_weight(f / pt), 13, [pt, "checksum"]),
        ("os.system", lambda f: saved(f, evil=Call(os.system, f"touch {f}/ran")), 2, [pt, "posix.system"]),
        ("eval", lambda f: saved(f, evil=Call(eval, f"open('{f}/ran', 'w')")), 2, [pt, "__builtin__.eval"]),
        ("a list", lambda f: saved(f, more=[1, 2]), 2, [pt, "operation 0x5d"]),
        ("a number", lambda f: saved(f, more=3), 2, [pt, '"more" is no tensor']),
        ("int64", lambda f: saved(f, more=torch.zeros(2, dtype=torch.int64)), 2, [pt, "torch.LongStorage"]),
        ("columns", lambda f: saved(f, **{first: ones(64, 64).t()[:, ::1]}), 2, [pt, first, "one behind the other"]),
        ("before 1.6", old_form, 13, [pt, "zip"]),
        ("no tensor", without, 13, [pt, first, "is missing"]),
        ("shape", lambda f: saved(f, **{first: ones(64, 32)}), 13, [pt, first, "(64, 32)", "(64, 64)"]),
        ("another width", configured(n_embd=128), 13, [pt, "wte", "the meta file makes it", "(429, 128)"]),
        ("fewer layers", configured(n_layer=2), 2, [pt, "transformer.h.2."]),
        ("heads", configured(n_head=5), 13, [meta, "n_head 5"]),
        ("no width", configured(n_embd=None), 13, [meta, "n_embd"]),
        ("unknown key", configured(dropout=0.1), 2, [meta, "dropout 0.1"]),
        ("windows", configured(window_pattern="SSSL"), 2, [meta, 'window_pattern "SSSL"']),
        ("no model_config", lambda f: (f / meta).write_text("{}"), 13, [meta, "model_config"]),
        ("no JSON", lambda f: (f / meta).write_text("{"), 13, [meta]),
        ("no meta", lambda f: (f / meta).unlink(), 5, [meta]),
        ("scaled residuals", lambda f: saved(f, resid_lambdas=1.1 * ones(n)), 2, [pt, '"resid_lambdas" is not 1']),
        ("embedding again", lambda f: saved(f, resid_lambdas=ones(n), x0_lambdas=0.1 * ones(n)), 2,
         [pt, '"x0_lambdas" is not 0']),
        ("value embedding", lambda f: saved(f, **{"value_embeds.0.weight": torch.zeros(429, 64)}), 2,
         [pt, "value_embeds.0.weight"]),
        ("smear", lambda f: saved(f, smear_lambda=torch.zeros(1)), 2, [pt, "smear_lambda"]),
        ("no tokenizer", lambda f: (f / pkl).unlink(), 5, [pkl, "--tokenizer"]),
        ("tokenizer calls", tokenizer(Call(os.system, "true")), 2, [pkl, "posix.system"]),
        ("tokenizer by name", tokenizer("gpt2"), 2, [pkl, "no tiktoken Encoding"]),
        ("tokenizer cut", lambda f: cut(f / pkl, 100), 13, [pkl, "cut short"]),
        ("tokenizer of another", tokenizer(nanochat_model.encoding("one and one", 258)), 13, [pkl, "267", "429"]),
        ("tokenizer without chat", tokenizer(tiktoken.Encoding(
            name="x", pat_str="a|b", mergeable_ranks={bytes([i]): i for i in range(256)},
            special_tokens={"<|endoftext|>": 256})), 2, [pkl, "<|bos|>"]),
    ]


def check_bad_inputs(folder):
    model = nanochat_model.Nanochat(CONFIG)
    for name, spoil, code, says in bad_inputs(model):
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            checkpoint, out = pathlib.Path(temporary) / "d3", pathlib.Path(temporary) / "out"
            nanochat_model.save(checkpoint, 3, model.state_dict(), CONFIG)
            nanochat_model.save_tokenizer(checkpoint, ENCODING)
            spoil(checkpoint)
            done = run("import", "--nanochat", checkpoint, "--out", out)
            assert done.returncode == code and done.stderr.startswith("error"), (name, done)
            assert all(word in done.stderr for word in says), (name, says, done.stderr)
            assert not (checkpoint / "ran").exists(), name
            assert [p.name for p in checkpoint.parent.iterdir()] == ["d3"], name
    print(f"{len(bad_inputs(model))} broken or foreign inputs refused, none of them run")


def check_use(folder, out):
    checkpoint = folder / "plain" / "base" / "chatsft_checkpoints" / "d3"
    again = run("import", "--nanochat", checkpoint, "--out", out)
    assert again.returncode == 2 and "is there already" in again.stderr, again
    no_step = run("import", "--nanochat", checkpoint, "--out", folder / "x", "--step", 8)
    assert no_step.returncode == 5 and "7, 650" in no_step.stderr, no_step
    rows = out.parent / "rows.jsonl"
    named = run("sft", "--set", f"model.base={checkpoint}", "--set", f"data.path={rows}", "--dry-run")
    assert named.returncode == 2 and f"train import --nanochat {checkpoint}" in named.stderr, named
    trained = run("sft", "--set", f"model.base={out}", "--set", f"data.path={rows}", "--set", "train.epochs=2",
                  "--set", f"paths.outputs_dir={folder}", "--set", "train.per_device_batch_size=1", "--json")
    assert trained.returncode == 0, trained.stderr
    adapter = json.loads(trained.stdout)["path"]
    said = run("generate", "--model", out, "--adapter", adapter, "--prompt", "What?", "--max-new-tokens", 4)
    assert said.returncode == 0, said.stderr


def plain(model):
    return model.state_dict()


def compiled(model):
    return {"_orig_mod." + name: tensor for name, tensor in model.state_dict().items()}


def with_neutral_scales(model):
    n = model.config["n_layer"]
    return {**model.state_dict(), "resid_lambdas": torch.ones(n), "x0_lambdas": torch.zeros(n)}


ENCODING = nanochat_model.encoding(TEXT, TOKENS)
with tempfile.TemporaryDirectory() as temporary:
    root = pathlib.Path(temporary)
    imported = check_model("plain", root, plain, CONFIG, [], "mixed")
    check_model("compiled", root, compiled, {**CONFIG, "n_kv_head": 2}, ["--dtype", "bf16"], "bf16")
    check_model("newer", root, with_neutral_scales, {**CONFIG, "n_kv_head": 1, "window_pattern": "L"},
                ["--max-shard-gb", "1e-4"], "mixed")
    check_tokenizer(imported)
    check_bad_inputs(root)
    check_use(root, imported)
