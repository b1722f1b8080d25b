"""What a model said of a picture in earlier runs, kept as a source of drafts.

Asked again, it says again what it said: after a run that was cut short or failed, or that was asked
for in another form. Asked something else about the picture, it often reads the same off it. What it
said of other pictures is no help (neither QVQ's published replies nor nano's are to each other).

One entry of the cache's folder holds the texts of a model and a picture. Runs at once may overwrite
each other's; that costs a draft, never a word.
"""

import hashlib
import zlib
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from qvq_cli.engine.cache_store import CacheStore
from qvq_cli.engine.layout import split_behind_pictures
from qvq_cli.engine.ngrams import PAST_N_GRAM, PastIndex
from qvq_cli.engine.protocol import Bitmap, CacheSpec, PromptPart

N_BEFORE = PAST_N_GRAM - 1
"""Tokens of the prompt in front of what was said: with its first token they can be looked up."""
N_TOKENS_MAX = 1 << 14
"""In an entry: some ten of QVQ's texts. To index them takes 10 ms."""
N_SAID_MIN = 16
"""Tokens that are worth keeping."""


class Said(NamedTuple):
    """One run's text. prompt: a checksum. tokens: N_BEFORE of the prompt's, then what was said.

    Where a picture was looked at again, a BREAK stands in them.
    """

    prompt: int
    tokens: tuple[int, ...]


class Past:
    """What was said to a prompt, and of the pictures in it."""

    def __init__(self, cache: CacheSpec, prompt: Sequence[PromptPart]) -> None:
        self._store = CacheStore(Path(cache.folder), cache.max_bytes)
        self._model_name = cache.model_name
        head, question = split_behind_pictures(prompt)
        pictures = _checksum(head)
        self._prompt = _checksum(question, pictures)
        key = f"{cache.model_id} {pictures if head else self._prompt}"
        self._key = hashlib.sha256(key.encode()).hexdigest()

    def index(self, n_vocab: int) -> PastIndex:
        """Where drafts are looked up: what was said to the very same prompt counts most."""
        texts = sorted(self._read(), key=lambda text: text.prompt == self._prompt)
        return PastIndex(text.tokens for text in texts if max(text.tokens) < n_vocab)

    def keep(self, tokens: Sequence[int]) -> None:
        """Add a text, as Said has it. Of a very long one the beginning, a very short one not."""
        if len(tokens) < N_BEFORE + N_SAID_MIN:
            return
        before = self._read()
        texts = remember(before, Said(self._prompt, tuple(tokens[:N_TOKENS_MAX])))
        if texts == before:
            return
        notes = {
            "model": self._model_name,
            "image_tokens": [],
            "text_tokens": [len(text.tokens) for text in texts],
            "prompts": [text.prompt for text in texts],
        }
        payload = array("i", (token for text in texts for token in text.tokens))
        self._store.save("reasoning", self._key, notes, memoryview(payload).cast("B"))

    def _read(self) -> list[Said]:
        kept = self._store.find("reasoning", self._key)
        if kept is None:
            return []
        tokens = array("i", kept.payload.tobytes())
        texts, start = [], 0
        for prompt, n in zip(kept.notes["prompts"], kept.notes["text_tokens"], strict=True):
            texts.append(Said(prompt, tuple(tokens[start : start + n])))
            start += n
        return texts


def remember(texts: Sequence[Said], new: Said) -> list[Said]:
    """The texts with a new one at their end, in place of what was said to its prompt before.

    A text of that prompt which says as much and more stays instead. The oldest make room.
    """
    before = next((text for text in texts if text.prompt == new.prompt), new)
    if before.tokens[: len(new.tokens)] == new.tokens:
        new = before
    kept, n_tokens = [new], len(new.tokens)
    for text in reversed([text for text in texts if text.prompt != new.prompt]):
        n_tokens += len(text.tokens)
        if n_tokens > N_TOKENS_MAX:
            break
        kept.append(text)
    return kept[::-1]


def _checksum(parts: Sequence[PromptPart], checksum: int = 0) -> int:
    """Fast, as pictures are large; should two ever have the same, that costs a draft.

    Args: checksum: of what stands before the parts.
    """
    for part in parts:
        data = part.rgb if isinstance(part, Bitmap) else part.text.encode("utf-8", "replace")
        checksum = zlib.crc32(data, checksum)
    return checksum
