"""Shared by the scripts here: where things are, the tokenizers that are compared, hard strings."""
import json
import lzma
import os
import random
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(os.path.dirname(HERE), "data")
CACHE = os.environ.get("MAYFLY_CACHE", os.path.expanduser("~/.cache/mayfly"))
SMOLLM2 = os.path.join(CACHE, "smollm2-135m-instruct")


def skip(reason):
    print("skipped:", reason)
    sys.exit(77)


def probe(*args, text=None):
    """The lines that text_probe answers, parsed."""
    binary = os.path.join(os.environ["MAYFLY_BIN"], "text_probe")
    done = subprocess.run([binary, *args], input=text, stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def need_smollm2():
    if not os.path.exists(os.path.join(SMOLLM2, "tokenizer.json")):
        skip(f"{SMOLLM2} is missing: run ./dev setup")
    return SMOLLM2


def unpack(packed, folder, name):
    path = os.path.join(folder, name)
    with lzma.open(os.path.join(DATA, packed)) as source, open(path, "wb") as target:
        target.write(source.read())
    return path


def unpack_qwen3(folder):
    unpack("qwen3/tokenizer.json.xz", folder, "tokenizer.json")
    with open(os.path.join(DATA, "qwen3", "tokenizer_config.json")) as f:
        config = f.read()
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
        f.write(config)
    return folder


def scratch():
    return tempfile.TemporaryDirectory(prefix="mayfly-text-")


EMOJI = ["😀", "👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪🇫🇷", "❤️", "☃", "🫠", "1️⃣"]
CJK = ["中文测试", "日本語のテキスト", "漢字かな交じり文", "﨑", "豈更車", "、。「」", "ｶﾅ", "𠮷野家"]
HANGUL = ["한국어", "\u1112\u1161\u11ab\u1100\u116e\u11a8", "가\u11a8", "\u1100\u1161", "ㄱㄴㄷ", "각\u11a8"]
MARKS = ["é", "e\u0301", "a\u0323\u0302", "a\u0302\u0323", "\u0301abc", "q\u0307\u0323", "Ω\u0345", "क्षि",
         "ক\u09c7\u09be", "น้ำ", "שָׁלוֹם", "مَرْحَبًا", "\u0f71\u0f72\u0f74", "\u0f73", "\u0958", "Å\u212b\u2126", "ﬁ"]
SPACES = [" ", "  ", "   \n", "\n\n\n", "\t\t", "\r\n", "\r", " \r\n \r\n", "\u00a0", "\u2003\u2003", "\u3000", "\u0085",
          "\u2028", "\u200b", "\ufeff", "\x0b\x0c", " " * 40, "\n" * 17, "\x1c\x1f"]
DIGITS = ["0", "1234567", "3.14159", "١٢٣", "½¾", "ⅣⅫ", "²³", "१२", "𝟘𝟙", "1,000,000"]
PUNCTUATION = ["!!!", "...", "—", "'s", "'S", "'ll", "'RE", "’s", "ſ's'ſ", "<<48/2=24>>", "#### 72", "$%^&*()", "\\n",
               "//", "==>", "\"\"", "'t't", "don't", "I'M", "we'Ve'd"]
CONTROLS = ["\x00", "\x01\x02", "\x7f", "\x80", "\x9f", "\ufffd", "\uffff", "\U0010ffff", "\ue000", "\U000e0001"]
WORDS = ["the", "The", " the", "hello", "HELLO", "naïve", "Straße", "ÆON", "tokenization", "internationalization",
         "def f(x):\n    return x", "for (int i = 0; i < n; ++i) {", "https://example.org/a?b=c#d", "x_y_z", "a" * 70,
         "ab" * 60, "The quick brown fox", "Привет мир", "Γειά", "ǅ", "ʰ", "İstanbul", "ﷺ"]


# One piece, or one run of white space, of many thousand characters.
LONG = [unit * 10000 + end for unit, end in [
    ("a", " 12x"), (" ", "x"), ("!", "\n\nx"), ("\n", "x"), (" \n", "x"), ("1", "x"), ("é", " 1"), ("中", "x"), ("'s", ""),
    ("a\u0301", " x"), ("\r\n", "a"), ("\t", ""), ("x ", ""), ("!?", "  a")]]


def hard_strings(special, count, seed):
    """`count` strings of all that is known to break tokenizers; `special`: the added tokens."""
    rng = random.Random(seed)
    partial = [t[:n] for t in special for n in range(1, len(t))] + [t[n:] for t in special for n in range(1, len(t))]
    pools = [EMOJI, CJK, HANGUL, MARKS, SPACES, DIGITS, PUNCTUATION, CONTROLS, WORDS, special, partial]
    strings = [s for pool in pools for s in pool] + ["", " ", "\n"] + LONG
    strings += [a + b for a in special[:12] for b in special[:12]]
    strings += ["".join(chr(c) for c in range(b, b + 64)) for b in range(0x80, 0x3000, 64)]
    while len(strings) < count:
        kind = rng.random()
        if kind < 0.7:
            strings.append("".join(rng.choice(rng.choice(pools)) for _ in range(rng.randint(1, 12))))
        elif kind < 0.8:  # any characters
            strings.append("".join(any_character(rng) for _ in range(rng.randint(1, 30))))
        elif kind < 0.9:  # bytes that were no text
            raw = bytes(rng.randrange(256) for _ in range(rng.randint(1, 60)))
            strings.append(raw.decode("utf-8", "replace") if rng.random() < 0.5 else raw.decode("latin-1"))
        else:  # one thing many times: long pieces
            strings.append(rng.choice(rng.choice(pools)) * rng.randint(2, 200))
    return strings[:count]


def any_character(rng):
    # Debian's tables (Unicode 14, PCRE2: 14) know no character that was assigned after 2021.
    import unicodedata
    while True:
        c = rng.choice([rng.randrange(0x20, 0x250), rng.randrange(0x250, 0x3000), rng.randrange(0x3000, 0xd800),
                        rng.randrange(0xe000, 0x20000)])
        if unicodedata.category(chr(c)) != "Cn":
            return chr(c)
