#!/usr/bin/env python3
"""Ids, places and decoded text equal HuggingFace tokenizers' on generated hard strings.

For SmolLM2, Qwen3 and variants of SmolLM2's file that turn on what other families use: Llama 3's pattern with
ignore_merges, every behaviour of Split, merges as pairs, added tokens of every kind.  Seeds are fixed.
"""
import material

import copy
import json
import os
import sys

from tokenizers import Tokenizer

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
          r"\s*[\r\n]+|\s+(?!\S)|\s+")
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": [*steps, BYTES]}


def added(content, token_id, **flags):
    return {"id": token_id, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": False, **flags}


def variants(base):
    """Files made of SmolLM2's: (name, json)."""
    def variant(name, **changes):
        spec = copy.deepcopy(base)
        model = changes.pop("model", {})
        spec["model"].update(model)
        spec["added_tokens"] += changes.pop("added", [])
        spec.update(changes)
        return name, spec

    pairs = [m.split(" ") if isinstance(m, str) else m for m in base["model"]["merges"]]
    yield variant("llama3", pre_tokenizer=sequence(split({"Regex": LLAMA3})),
                  model={"ignore_merges": True, "merges": pairs})
    yield variant("gpt2-nfc", normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}]},
                  pre_tokenizer={**BYTES, "use_regex": True})
    for behavior in ("Removed", "Contiguous", "MergedWithPrevious", "MergedWithNext"):
        yield variant("split-" + behavior, pre_tokenizer=sequence(split({"Regex": r"\s+|\p{N}"}, behavior)))
    yield variant("split-inverted", pre_tokenizer=sequence(split({"Regex": r"\S+"}, "Removed", True)))
    yield variant("split-string", pre_tokenizer=sequence(split({"String": "e."}, "MergedWithNext"),
                                                         {"type": "Digits", "individual_digits": False}))
    size = len(base["model"]["vocab"])
    yield variant("added", normalizer={"type": "NFC"}, added=[
        added("<lstrip>", size, lstrip=True), added("<rstrip>", size + 1, rstrip=True),
        added("<both>", size + 2, lstrip=True, rstrip=True), added("def f", size + 3, single_word=True),
        added("<im", size + 4), added("<|im_start|>user", size + 5), added("éa", size + 6, normalized=True),
        added("the q", size + 7, normalized=True), added("I'M", size + 8, normalized=True, rstrip=True)])


def compare(name, folder, count):
    reference = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    special = sorted(t.content for t in reference.get_added_tokens_decoder().values())
    strings = material.hard_strings(special, count, seed=f"{name} 1")
    ours = material.probe("encode", folder, text="".join(json.dumps(s) + "\n" for s in strings).encode())
    assert len(ours) == len(strings)
    differ = []
    for string, mine in zip(strings, ours):
        theirs = reference.encode(string, add_special_tokens=False)
        if mine["ids"] != theirs.ids:
            differ.append(("ids", string, theirs.ids, mine["ids"]))
        elif mine["decoded"] != reference.decode(theirs.ids, skip_special_tokens=False):
            differ.append(("decoded", string, reference.decode(theirs.ids, skip_special_tokens=False), mine["decoded"]))
        elif not ascending(mine["ends"], string):
            differ.append(("ends", string, None, mine["ends"]))
    print(f"{name}: {len(strings)} strings, {sum(len(o['ids']) for o in ours)} tokens, {len(differ)} differences")
    for what, string, theirs, mine in differ[:5]:
        print(f"  {what} of {string!r:.200}:\n    theirs {theirs!s:.300}\n    ours   {mine!s:.300}")
    return len(differ)


def ascending(ends, string):
    return all(a <= b for a, b in zip(ends, ends[1:])) and (not ends or ends[-1] <= len(string.encode()))


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    smollm2 = material.need_smollm2()
    differences = compare("smollm2", smollm2, count)
    with material.scratch() as folder:
        differences += compare("qwen3", material.unpack_qwen3(folder), count)
        with open(os.path.join(smollm2, "tokenizer.json")) as f:
            base = json.load(f)
        for name, spec in variants(base):
            with open(os.path.join(folder, "tokenizer.json"), "w") as f:
                json.dump(spec, f, ensure_ascii=False)
            differences += compare(name, folder, count // 3)
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
