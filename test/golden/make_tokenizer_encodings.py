#!/usr/bin/env python3
"""Writes tokenizer-encodings.json: what Hugging Face's `tokenizers` library makes of texts.

Each entry is a change (JSON merge patch, RFC 7396) of test/models/prmoe/tokenizer.json and a list of texts with the
ids and the text that the library gives. Made with tokenizers 0.23.3.

usage: make_tokenizer_encodings.py       (needs pip's tokenizers)
"""
import json
import pathlib

import tokenizers

HERE = pathlib.Path(__file__).parent
BASE = json.loads((HERE.parent / "models/prmoe/tokenizer.json").read_text())

TEXTS = [
    "",
    " ",
    "ROMEO:\nBut, soft! what light through yonder window breaks?",
    "I'll don't we've he's they're I'm you'd",
    "  two  spaces   three\n\nlines\t tab \r\n end  ",
    "1234567 890, 3.14159 and 42nd",
    "<|endoftext|>After<|endoftext|> <|endoftext|>",
    "caf\u00e9 na\u00efve \u00fcber \u2014 \u201cquoted\u201d \u2026",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002 \u3053\u3093\u306b\u3061\u306f \ud55c\uad6d\uc5b4",
    "\U0001f600 emoji \U0001f469\u200d\U0001f4bb \u00bd \u00b2 \u216b",
    "\u00a0nbsp \u2003em space\u3000ideographic \u0085 nel",
    "def f(x):\n    return x**2  # comment\n",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u0939\u093f\u0928\u094d\u0926\u0940 \u05e2\u05d1\u05e8\u05d9\u05ea",
    "\x00\x01\x7f control",
    "The king, the KING, the King's kingdom; of of of",
    "  <x> y<x>z  <x>  ",
]

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = ("[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
            "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+")


def byte_level(prefix=False, regex=True):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def sequence(*steps):
    return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": list(steps)}}


def added(**flags):
    token = {"id": 1024, "content": "<x>", "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": False}
    return {"added_tokens": BASE["added_tokens"] + [token | flags]}


TEMPLATE = {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                       {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {
                "<s>": {"id": "<s>", "ids": [1024, 5], "tokens": ["<s>", "&"]},
                "<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}}}

PATCHES = {
    "as it is": {},
    "prefix space": {"pre_tokenizer": byte_level(prefix=True)},
    "no regex": {"pre_tokenizer": byte_level(regex=False)},
    "llama 3": sequence(split(LLAMA3), byte_level(regex=False)) | {"model": {"ignore_merges": True}},
    "o200k": sequence(split(O200K), byte_level(regex=False)),
    "deepseek 3": sequence(split(r"\p{N}{1,3}"), split("[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"), split(DEEPSEEK),
                           byte_level(regex=False)),
    "digits": sequence({"type": "Digits", "individual_digits": True}, byte_level()),
    "digit groups": sequence({"type": "Digits", "individual_digits": False}, byte_level()),
    "split removed": sequence(split(" ", "Removed", kind="String"), byte_level()),
    "split previous": sequence(split("[aeiou]", "MergedWithPrevious"), byte_level(regex=False)),
    "split next": sequence(split("[aeiou]", "MergedWithNext"), byte_level(regex=False)),
    "split contiguous": sequence(split(r"\p{L}", "Contiguous"), byte_level(regex=False)),
    "split inverted": sequence(split(r"\p{L}+", "Removed", invert=True), byte_level(regex=False)),
    "added": added(),
    "added lstrip": added(lstrip=True),
    "added rstrip": added(rstrip=True, normalized=True),
    "added single word": added(single_word=True),
    "added special": added(special=True, lstrip=True, rstrip=True),
    "added word": added(content="king", single_word=True),
    "template": {"post_processor": {"type": "Sequence", "processors": [byte_level(), TEMPLATE]}} | added(content="<s>"),
    "merges as strings": {"model": {"merges": [" ".join(m) for m in BASE["model"]["merges"]]}},
    "unknown token": {"model": {"vocab": {"e": None}, "unk_token": "!", "fuse_unk": True,
                                "merges": [m for m in BASE["model"]["merges"] if "e" not in "".join(m)]}},
}


def merge_patch(target, patch):
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def main():
    entries = []
    for name, patch in PATCHES.items():
        tokenizer = tokenizers.Tokenizer.from_str(json.dumps(merge_patch(BASE, patch)))
        cases = []
        for text in TEXTS:
            ids = tokenizer.encode(text).ids
            cases.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids)})
        entries.append({"name": name, "patch": patch, "cases": cases})
    lines = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in entries)
    (HERE / "tokenizer-encodings.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
