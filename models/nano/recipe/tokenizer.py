"""A small byte-level BPE with Qwen's splitting rule and special tokens, and ChatML around it.

The vocabulary is trained on the recipe's own texts (`python -m recipe.tokenizer`); bytes cover all
else.
"""

import argparse
import functools
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import regex

VOCABULARY_FILE = Path(__file__).with_name("vocabulary.json")
SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
_N_VOCABULARY = 1536
_SPLIT = (  # Source: Qwen2's tokenizer.json, pre_tokenizer
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SYSTEM_PROMPT = (  # Source: model card of Qwen/QVQ-72B-Preview
    "You are a helpful and harmless assistant. You are Qwen developed by Alibaba. You "
    "should think step-by-step."
)


def byte_letters() -> dict[int, str]:
    """GPT-2's printable stand-ins for the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {b: chr(b) for b in plain}
    for byte in range(256):
        if byte not in letters:
            letters[byte] = chr(256 + len(letters) - len(plain))
    return letters


class Tokenizer:
    """Encodes text to ids and back. pieces[i]: token i in byte letters; merges in order of rank."""

    def __init__(self, pieces: Sequence[str], merges: Sequence[tuple[str, str]]) -> None:
        self.pieces, self.merges = list(pieces), list(merges)
        self._ids = {piece: i for i, piece in enumerate(self.pieces)}
        self._ranks = {merge: i for i, merge in enumerate(self.merges)}
        self.special = {name: len(self.pieces) + i for i, name in enumerate(SPECIAL)}
        self.n_vocab = (len(self.pieces) + len(SPECIAL) + 63) // 64 * 64
        self._letters = byte_letters()
        self._bytes = {letter: byte for byte, letter in self._letters.items()}
        self._split = regex.compile(_SPLIT)
        self._cache: dict[str, list[int]] = {}

    @classmethod
    def load(cls, path: Path = VOCABULARY_FILE) -> "Tokenizer":
        """Read the vocabulary beside this file."""
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls(data["pieces"], [tuple(m) for m in data["merges"]])

    @property
    def end(self) -> int:
        return self.special["<|im_end|>"]

    @property
    def image_pad(self) -> int:
        return self.special["<|image_pad|>"]

    def _merge(self, word: str) -> list[int]:
        parts = [self._letters[b] for b in word.encode()]
        while len(parts) > 1:
            pairs = list(pairwise(parts))
            best = min(pairs, key=lambda p: self._ranks.get(p, len(self._ranks)))
            if best not in self._ranks:
                break
            i = pairs.index(best)
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        return [self._ids[p] for p in parts]

    def encode(self, text: str) -> list[int]:
        """Ids of plain text; special tokens are not recognised in it."""
        ids: list[int] = []
        for word in self._split.findall(text):
            known = self._cache.get(word)
            if known is None:
                known = self._cache[word] = self._merge(word)
            ids += known
        return ids

    def data(self, token: int) -> bytes:
        """The bytes of one token; special tokens have none."""
        if token >= len(self.pieces):
            return b""
        return bytes(self._bytes[c] for c in self.pieces[token])

    def decode(self, ids: Iterable[int]) -> str:
        return b"".join(map(self.data, ids)).decode("utf-8", "replace")

    def encode_prompt(
        self,
        question: str,
        image_tokens: Sequence[int],
        system: str | None,
        images_first: bool = True,
    ) -> tuple[list[int], list[int]]:
        """ChatML of one user turn up to the assistant's start.

        Returns: the ids with image_pad in place of the pictures, and where each picture's run
        starts.
        """
        start, newline = self.special["<|im_start|>"], self.encode("\n")
        ids: list[int] = []
        if system is not None:
            ids += [start, *self.encode("system\n" + system), self.end, *newline]
        ids += [start, *self.encode("user\n")]
        text = self.encode(question)
        if not images_first:
            ids += text
        starts = []
        for n in image_tokens:
            ids.append(self.special["<|vision_start|>"])
            starts.append(len(ids))
            ids += [self.image_pad] * n + [self.special["<|vision_end|>"]]
        if images_first:
            ids += text
        ids += [self.end, *newline, start, *self.encode("assistant\n")]
        return ids, starts


@functools.cache
def shared_tokenizer() -> Tokenizer:
    return Tokenizer.load()


def _corpus(seed: int, n_texts: int) -> Iterator[str]:
    """Questions and replies of every family, and words at random for what else people ask."""
    from recipe.drawing import Studio

    studio = Studio.for_texts()
    rng = random.Random(seed)
    for _ in range(n_texts):
        scene = studio.make_scene(rng)
        for exchange in (studio.converse(scene, rng, 0.2) for _ in range(2)):
            yield exchange.question
            yield exchange.reply()
        yield SYSTEM_PROMPT


def train(seed: int = 7, n_texts: int = 5000) -> None:
    """Train the vocabulary and write it beside this file."""
    from tokenizers import Regex, models, pre_tokenizers, trainers
    from tokenizers import Tokenizer as Rust

    rust = Rust(models.BPE())
    rust.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = [byte_letters()[b] for b in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=_N_VOCABULARY - len(SPECIAL),
        initial_alphabet=alphabet,
        min_frequency=3,
        show_progress=False,
    )
    rust.train_from_iterator(_corpus(seed, n_texts), trainer)
    model = json.loads(rust.to_str())["model"]
    pieces = sorted(model["vocab"], key=model["vocab"].get)
    merges = [m if isinstance(m, list) else m.split(" ") for m in model["merges"]]
    text = json.dumps({"pieces": pieces, "merges": merges}, ensure_ascii=False)
    VOCABULARY_FILE.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    train()
