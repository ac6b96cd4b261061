#!/usr/bin/env python3
"""Chat templates of many families: text, ids and masks equal transformers'.

TRL carries the templates of the families people train, and beside many of them a copy with {% generation %} markers.
Where a copy renders the same text, its mask must be the one we find without markers.  Where both refuse a
conversation, that is agreement.
"""
import material

import datetime
import glob
import json
import os
import re
import sys

def turn(role):
    return lambda text: {"role": role, "content": text}


U, A, S = turn("user"), turn("assistant"), turn("system")
CONVERSATIONS = [
    [U("What is 2 + 2?"), A("4")],
    [S("Be brief."), U("Hi"), A("Hello.")],
    [U("one"), A("two"), U("three"), A("four")],
    [S("You are a poet."), U("Ein Gedicht über Äpfel 🍎"), A("Rot 🍎,\n\nrund."), U("mehr"), A("  nein \n")],
    [U(" leading and trailing "), A(" 48/2 = <<48/2=24>>24\n#### 72")],
    [U("code?"), A("```python\ndef f():\n    return 'x'\n```"), U("ok"), A("Fine."), U("bye"), A("Bye!")],
    [U("think"), A("<think>\nIt is easy.\n</think>\n\nDone.")],
    [U("think"), A("<think>\nA first thought.\n</think>\n\nFirst."), U("again"), A("Second.")],
    [U("the same"), A("the same"), U("the same"), A("the same")],
]
MULTIMODAL = {"idefics3", "smolvlm", "llava_next"}  # they take contents as lists of parts only
OPENINGS = {"", "\n", "<｜Assistant｜>", "<think>", "<think></think>", "<think>\n", "<think>\n\n</think>\n\n",
            "<|start|>assistant"}
NOT_SPECIAL = {"<think>", "</think>", "<tool_call>", "</tool_call>", "<tools>", "</tools>", "<tool_response>",
               "</tool_response>"}


class FixedDate(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2023, 11, 14, 22, 13, 20)



def special_of(template):
    found = set(re.findall(r"<\|?[A-Za-z_｜▁|][^<>\s'\"{}]{0,40}>|</s>|\[/?INST\]", template))
    return sorted(t for t in found if t not in NOT_SPECIAL and "=" not in t)


def write_model(folder, base, template):
    """SmolLM2's tokenizer with the special tokens that the template writes."""
    spec = json.loads(json.dumps(base))
    have = {t["content"] for t in spec["added_tokens"]}
    size = len(spec["model"]["vocab"])
    for content in special_of(template) + ["<bos>", "<eos>"]:
        if content in have or content in spec["model"]["vocab"]:
            continue
        have.add(content)
        spec["added_tokens"].append({"id": size, "content": content, "single_word": False, "lstrip": False,
                                     "rstrip": False, "normalized": False, "special": True})
        size += 1
    with open(os.path.join(folder, "tokenizer.json"), "w") as f:
        json.dump(spec, f, ensure_ascii=False)
    eos = "<|END_OF_TURN_TOKEN|>" if "<|END_OF_TURN_TOKEN|>" in template else "<eos>"
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
        json.dump({"chat_template": template, "bos_token": "<bos>", "eos_token": eos}, f)
    return eos


def reference(tokenizer, messages, template):
    try:
        text = tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False)
        encoded = tokenizer.apply_chat_template(messages, chat_template=template, return_dict=True,
                                                return_assistant_tokens_mask="generation" in template)
    except Exception as error:  # the template's own refusal, or what it needs and has not
        return {"error": str(error)}
    return {"text": text, "ids": encoded["input_ids"], "mask": encoded.get("assistant_masks")}


def compare(name, template, marked, folder, base):
    from transformers import PreTrainedTokenizerFast
    from transformers.utils import chat_template_utils
    chat_template_utils.datetime = FixedDate
    eos = write_model(folder, base, template)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=os.path.join(folder, "tokenizer.json"), bos_token="<bos>",
                                        eos_token=eos)
    path = os.path.join(folder, "data.jsonl")
    with open(path, "w") as f:
        f.writelines(json.dumps({"messages": c}) + "\n" for c in CONVERSATIONS)
    ours = material.probe("chat", folder, path)
    count = {"same": 0, "refused": 0, "masks": 0}
    faults = []
    for messages, mine in zip(CONVERSATIONS, ours):
        theirs = reference(tokenizer, messages, template)
        if "error" in mine or "error" in theirs:
            if ("error" in mine) != ("error" in theirs):
                faults.append(f"refused by one: ours {mine.get('error')} theirs {theirs.get('error')}")
            count["refused"] += 1
            continue
        if mine["text"] != theirs["text"] or mine["ids"] != theirs["ids"]:
            faults.append(f"text: ours {mine['text']!r} theirs {theirs['text']!r}")
            continue
        count["same"] += 1
        expected = reference(tokenizer, messages, marked) if marked else None
        if expected and expected.get("text") == theirs["text"]:
            count["masks"] += 1
            mine, theirs = trained(tokenizer, mine), trained(tokenizer, expected)
            if len(mine) != len(theirs) or not all(agree(a, b) for a, b in zip(mine, theirs)):
                faults.append(f"mask: ours {mine} theirs {theirs}")
    print(f"{name}: {count}{'' if not faults else ', DIFFERENT ' + str(len(faults))}")
    for fault in faults[:3]:
        print("   ", fault[:700])
    return len(faults)


def trained(tokenizer, row):
    parts = tokenizer.decode([i if m else tokenizer.bos_token_id for i, m in zip(row["ids"], row["mask"])])
    return [part for part in parts.split("<bos>") if part]


def agree(mine, theirs):
    """TRL also trains what the template puts after the end of a turn, and in some families its opening."""
    before, found, after = theirs.partition(mine)
    return found and before in OPENINGS and after.replace("<eos>", "").strip() == ""


def main():
    smollm2 = material.need_smollm2()
    try:
        import trl
    except ImportError:
        material.skip("trl is not installed")
    templates = os.path.join(os.path.dirname(trl.__file__), "chat_templates")
    with open(os.path.join(smollm2, "tokenizer.json")) as f:
        base = json.load(f)
    faults = 0
    only = sys.argv[1:]
    for path in sorted(glob.glob(os.path.join(templates, "*.jinja"))):
        name = os.path.basename(path)[:-len(".jinja")]
        if name.endswith("_training") or name in MULTIMODAL or (only and name not in only):
            continue
        with open(path) as f:
            template = f.read()
        marked = None
        if os.path.exists(path.replace(".jinja", "_training.jinja")):
            with open(path.replace(".jinja", "_training.jinja")) as f:
                marked = f.read()
        with material.scratch() as folder:
            faults += compare(name, template, marked, folder, base)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
