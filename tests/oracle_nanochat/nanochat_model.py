"""What nanochat computes and how it writes it down (karpathy/nanochat of autumn 2025: gpt.py, tokenizer.py,
checkpoint_manager.py), in as few lines as it takes: the reference that imported checkpoints are held against.
"""
import json
import pickle

import tiktoken
import torch
import torch.nn.functional as F
from torch import nn

SPECIAL = ["<|bos|>", "<|user_start|>", "<|user_end|>", "<|assistant_start|>", "<|assistant_end|>",
           "<|python_start|>", "<|python_end|>", "<|output_start|>", "<|output_end|>"]
PATTERN = (r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*|"""
           r"""\s*[\r\n]|\s+(?!\S)|\s+""")


def linear(inputs, outputs):
    return nn.Linear(inputs, outputs, bias=False)


class Block(nn.Module):
    def __init__(self, width, heads, kv_heads):
        super().__init__()
        kv = width // heads * kv_heads
        self.attn = nn.ModuleDict({"c_q": linear(width, width), "c_k": linear(width, kv), "c_v": linear(width, kv),
                                   "c_proj": linear(width, width)})
        self.mlp = nn.ModuleDict({"c_fc": linear(width, 4 * width), "c_proj": linear(4 * width, width)})


class Nanochat(nn.Module):
    """`vocab` tokens, rows up to the next multiple of `pad`."""

    def __init__(self, config, pad=1):
        super().__init__()
        self.config = config
        width, rows = config["n_embd"], -(-config["vocab_size"] // pad) * pad
        blocks = [Block(width, config["n_head"], config["n_kv_head"]) for _ in range(config["n_layer"])]
        self.transformer = nn.ModuleDict({"wte": nn.Embedding(rows, width), "h": nn.ModuleList(blocks)})
        self.lm_head = linear(width, rows)
        for p in self.parameters():
            nn.init.normal_(p, std=0.2)

    def forward(self, ids):
        """Logits (T, vocab) of one document, in float32."""
        c = self.config
        heads, kv, size = c["n_head"], c["n_kv_head"], c["n_embd"] // c["n_head"]

        def norm(x):
            return F.rms_norm(x, (x.size(-1),))

        def turned(x):  # (heads, T, size), by the angles of the positions, backwards
            angle = torch.outer(torch.arange(len(ids)).float(), 10000.0 ** (-torch.arange(0, size, 2).float() / size))
            a, b = x.chunk(2, -1)
            return torch.cat([a * angle.cos() + b * angle.sin(), b * angle.cos() - a * angle.sin()], -1)

        def split(x, count):
            return x.view(len(ids), count, size).transpose(0, 1)

        x = norm(self.transformer.wte.weight.float()[torch.tensor(ids)])
        for block in self.transformer.h:
            y = norm(x)
            q, k = (norm(turned(split(block.attn[n](y), h))) for n, h in (("c_q", heads), ("c_k", kv)))
            v = split(block.attn.c_v(y), kv)
            k, v = k.repeat_interleave(heads // kv, 0), v.repeat_interleave(heads // kv, 0)
            scores = (q @ k.transpose(1, 2) / size ** 0.5).masked_fill(
                torch.ones(len(ids), len(ids)).triu(1).bool(), float("-inf"))
            x = x + block.attn.c_proj((scores.softmax(-1) @ v).transpose(0, 1).reshape(len(ids), -1))
            x = x + block.mlp.c_proj(F.relu(block.mlp.c_fc(norm(x))).square())
        logits = self.lm_head(norm(x))[:, :c["vocab_size"]]
        return 15 * torch.tanh(logits / 15)


def save(folder, step, state, config):
    """As checkpoint_manager.save_checkpoint writes model and meta data."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state, folder / f"model_{step:06d}.pt")
    meta = {"step": step, "val_bpb": 0.81, "model_config": config, "user_config": {"run": "dummy", "depth": 2},
            "device_batch_size": 32, "dataloader_state_dict": {"pq_idx": 3, "rg_idx": 1}}
    (folder / f"meta_{step:06d}.json").write_text(json.dumps(meta, indent=2))


def encoding(text, tokens):
    """An Encoding of `tokens` and the special ones, with merges learnt from `text`."""
    from tiktoken._educational import bpe_train
    ranks = bpe_train(text, tokens, PATTERN, visualise=None)
    special = {name: tokens + i for i, name in enumerate(SPECIAL)}
    return tiktoken.Encoding(name="rustbpe", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=special)


def save_tokenizer(folder, made):
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "tokenizer.pkl", "wb") as file:
        pickle.dump(made, file)


def rendered(made, messages):
    """Ids and which of them are trained, as tokenizer.render_conversation has it for texts."""
    token = made.encode_single_token
    messages = [dict(m) for m in messages]
    if messages[0]["role"] == "system":
        before = messages.pop(0)["content"]
        messages[0]["content"] = before + "\n\n" + messages[0]["content"]
    ids, mask = [token("<|bos|>")], [0]
    for message in messages:
        said, role = made.encode_ordinary(message["content"]), message["role"]
        trained = int(role == "assistant")
        ids += [token(f"<|{role}_start|>"), *said, token(f"<|{role}_end|>")]
        mask += [0, *[trained] * len(said), trained]
    return ids, mask
