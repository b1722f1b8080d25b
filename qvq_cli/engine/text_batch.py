"""Text tokens on their way into llama_decode."""

from collections.abc import Sequence
from typing import Any


class TextBatch:
    """A llama_batch that is filled stretch by stretch.

    Its arrays are asked for once: a structure of ctypes makes a new pointer whenever it is asked,
    which for a single token takes longer than the filling.

    Args:
        lib: llama_cpp.llama_cpp.
        n_max: tokens that it has room for.

    raw: what llama_decode takes. tokens, positions: arrays of it, to run other tokens the same way.
    """

    def __init__(self, lib: Any, n_max: int) -> None:
        self.raw: Any = lib.llama_batch_init(n_max, 0, 1)
        self._lib = lib
        self.tokens, self.positions = self.raw.token, self.raw.pos
        self._n_seq_ids, self._seq_ids = self.raw.n_seq_id, self.raw.seq_id
        self._logits = self.raw.logits

    def clear(self) -> None:
        """Make it empty again."""
        self.raw.n_tokens = 0

    def add(self, tokens: Sequence[int], n_pos: int, *, n_logits: int = 0, seq_id: int = 0) -> int:
        """Put tokens at the positions from n_pos on of a sequence.

        Args: n_logits: how many of the last ones get logits. Returns: tokens in the batch.
        """
        start: int = self.raw.n_tokens
        end = start + len(tokens)
        for i, token in enumerate(tokens, start):
            self.tokens[i] = token
            self.positions[i] = n_pos + i - start
            self._n_seq_ids[i] = 1
            self._seq_ids[i][0] = seq_id
            self._logits[i] = i >= end - n_logits
        self.raw.n_tokens = end
        return end

    def free(self) -> None:
        """Let go of it."""
        self._lib.llama_batch_free(self.raw)
