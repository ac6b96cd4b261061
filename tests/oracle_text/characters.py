#!/usr/bin/env python3
"""Tokenizers over characters with bytes to fall back on equal HuggingFace tokenizers: ids, places, decoded text.

No real file of the kind can be had without an account, so they are made here: merges learnt from GSM8K, in the forms in
which Llama 2, Mistral, Gemma and Phi-3 are published.
"""
import material
from hard_strings import added, compare

import copy
import json
import os
import sys

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

MARK = "\u2581"
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": MARK}
PREPEND = {"type": "Prepend", "prepend": MARK}
DECODE = [{"type": "Replace", "pattern": {"String": MARK}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}


def sequence(key, *steps):
    return {"type": "Sequence", key: list(steps)}


def metaspace(scheme, split):
    return {"type": "Metaspace", "replacement": MARK, "prepend_scheme": scheme, "split": split}


def learnt(texts, over_words):
    """A tokenizer.json with merges from `texts`; over_words: also such as reach from a word into the next."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)])
    if not over_words:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(MARK, "never")
    trainer = trainers.BpeTrainer(vocab_size=2000, special_tokens=["<unk>", "<s>", "</s>", *BYTES], show_progress=False,
                                  max_token_length=12)
    tokenizer.train_from_iterator(texts, trainer)
    spec = json.loads(tokenizer.to_str())
    spec["added_tokens"] = [token for token in spec["added_tokens"] if token["content"] not in BYTES]
    spec["pre_tokenizer"] = None
    return spec


def learnt_unigram(texts):
    """A tokenizer.json with scores learnt from `texts`."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(MARK, "never")
    trainer = trainers.UnigramTrainer(vocab_size=2000, special_tokens=["<unk>", "<s>", "</s>", *BYTES],
                                      unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    spec = json.loads(tokenizer.to_str())
    spec["added_tokens"] = [token for token in spec["added_tokens"] if token["content"] not in BYTES]
    spec["pre_tokenizer"] = None
    spec["model"]["byte_fallback"] = True
    # Few digits: serde_json, as the reference is built, reads every seventh long one a bit wrong, which decides between
    # ways whose sums are alike to the last bit.
    spec["model"]["vocab"] = [[token, round(score, 6)] for token, score in spec["model"]["vocab"]]
    return spec


def unigram_variants(scored):
    llama2 = dict(normalizer=sequence("normalizers", PREPEND, REPLACE), decoder=sequence("decoders", *DECODE, STRIP))
    yield "unigram", scored, llama2
    yield "unigram-metaspace", scored, dict(normalizer=None, pre_tokenizer=metaspace("first", True),
                                            decoder=llama2["decoder"])
    yield "unigram-replace", scored, dict(normalizer=REPLACE, decoder=sequence("decoders", *DECODE))
    tied = copy.deepcopy(scored)  # many ways with the same sum
    tied["model"]["vocab"] = [[token, float(round(score))] for token, score in tied["model"]["vocab"]]
    yield "unigram-ties", tied, llama2


def variants(words, over_words):
    llama2 = dict(normalizer=sequence("normalizers", PREPEND, REPLACE), decoder=sequence("decoders", *DECODE, STRIP))
    size = len(words["model"]["vocab"])
    yield "llama2", words, llama2
    yield "llama2-over-words", over_words, llama2
    yield "mistral", words, dict(normalizer=None, pre_tokenizer=metaspace("first", False), decoder=llama2["decoder"])
    yield "metaspace-always", over_words, dict(normalizer=None, pre_tokenizer=metaspace("always", True),
                                               decoder=sequence("decoders", *DECODE, STRIP))
    gemma = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    yield "gemma", words, dict(normalizer=REPLACE, pre_tokenizer=gemma, decoder=sequence("decoders", *DECODE))
    yield "digits", words, dict(normalizer=REPLACE, decoder=sequence("decoders", *DECODE),
                                pre_tokenizer={"type": "Digits", "individual_digits": True})
    more = [added("<lstrip>", size, lstrip=True), added("<rstrip>", size + 1, rstrip=True),
            added("the q", size + 2, normalized=True), added("I'M", size + 3, normalized=True)]
    yield "llama2-added", words, dict(**llama2, added=more)
    yield "mistral-added", words, dict(normalizer=None, pre_tokenizer=metaspace("first", False),
                                       decoder=llama2["decoder"], added=more)


def compare_places(name, folder, texts):
    """Of ASCII texts, where byte and character are the same: each token ends where theirs does."""
    reference = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    texts = [text for text in texts if text.isascii()]
    ours = material.probe("encode", folder, text="".join(json.dumps(text) + "\n" for text in texts).encode())
    wrong = [text for text, mine in zip(texts, ours)
             if mine["ends"] != [end for _, end in reference.encode(text, add_special_tokens=False).offsets]]
    print(f"{name}: {len(texts)} texts, {len(wrong)} with tokens that end elsewhere")
    for text in wrong[:2]:
        print("  ", repr(text)[:200])
    return len(wrong)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    differences = 0
    with material.scratch() as folder:
        rows = material.unpack("gsm8k/test.messages.jsonl.xz", folder, "rows.jsonl")
        with open(rows, encoding="utf-8") as f:
            texts = [m["content"] for line in list(f)[:300] for m in json.loads(line)["messages"]]
        for name, base, changes in [*variants(learnt(texts, False), learnt(texts, True)),
                                    *unigram_variants(learnt_unigram(texts))]:
            spec = copy.deepcopy(base)
            spec["added_tokens"] += changes.pop("added", [])
            spec.update(changes)
            with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
                json.dump(spec, f, ensure_ascii=False)
            differences += compare(name, folder, count)
            if not name.endswith("-added"):
                differences += compare_places(name, folder, texts)
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
