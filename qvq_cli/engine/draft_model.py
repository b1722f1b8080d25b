"""A second, smaller model of the same vocabulary that guesses how the text goes on (--draft).

It reads the text only: what it doesn't see of a picture, the reasoning mostly says in words. Its
KV cache follows the text by itself, so whoever asks it needn't tell what was accepted.
"""

from collections.abc import Sequence
from typing import Any

from qvq_cli.engine.ngrams import BREAK
from qvq_cli.engine.protocol import N_VOCAB_APART
from qvq_cli.engine.text_batch import TextBatch
from qvq_cli.errors import DoesNotFitError, EngineDiedError, GgufError

N_BATCH = 512


class DraftModel:
    """Greedy text of a loaded model.

    Args:
        lib: llama_cpp.llama_cpp.
        model: a llama_model, which this takes over.
        vocab: of the model that it guesses for.
        name: of its file, for messages.
    Raises: GgufError: it has another vocabulary.
    """

    def __init__(self, lib: Any, model: Any, vocab: Any, name: str) -> None:
        self._lib = lib
        self._model = model
        self._vocab = lib.llama_model_get_vocab(model)
        self.n_vocab: int = lib.llama_vocab_n_tokens(self._vocab)
        self._ctx: Any = None
        self._sampler: Any = lib.llama_sampler_init_greedy()
        self._batch = TextBatch(lib, N_BATCH)
        self._check_vocabulary(vocab, name)

    def start(self, n_ctx: int, n_threads: int) -> None:
        """Make an empty context, for a text of n_ctx tokens.

        Raises: DoesNotFitError: there is no memory for it.
        """
        lib = self._lib
        self._free_context()
        params = lib.llama_context_default_params()
        params.n_ctx = min(n_ctx, lib.llama_model_n_ctx_train(self._model))
        params.n_batch = params.n_ubatch = N_BATCH
        params.n_threads = params.n_threads_batch = n_threads
        params.no_perf = True
        self._ctx = lib.llama_init_from_model(self._model, params)
        if not self._ctx:
            raise DoesNotFitError(
                f"llama.cpp could not make room for the draft model's context of {n_ctx} tokens",
                hint="leave --draft out, or use a smaller --max-thinking",
                reference="draft-out-of-memory",
            )
        self._memory = lib.llama_get_memory(self._ctx)
        self._n_ctx: int = lib.llama_n_ctx(self._ctx)
        self._text: list[int] = []  # what the KV cache holds, with the BREAKs it doesn't
        self._n_cells = 0

    def read(self, text: Sequence[int], *, wants_logits: bool = False) -> bool:
        """Bring the KV cache to the end of the text.

        Args: wants_logits: read its last token again even if that is there already.
        Returns: False if that is impossible: it is too long, or has tokens of the larger vocabulary
        only. Raises: EngineDiedError.
        """
        if len(text) >= self._n_ctx:
            return False
        keep = min(self._n_agreeing(text), len(text) - wants_logits)
        rest = list(text[keep:])
        new = [token for token in rest if token != BREAK]
        if any(token >= self.n_vocab for token in new):
            return False
        n_dropped = sum(token != BREAK for token in self._text[keep:])
        if n_dropped:
            self._n_cells -= n_dropped
            self._lib.llama_memory_seq_rm(self._memory, 0, self._n_cells, -1)
        self._text[keep:] = rest
        for start in range(0, len(new), N_BATCH):
            self._decode(new[start : start + N_BATCH])
        return True

    def guess(self, text: Sequence[int], n: int) -> list[int]:
        """See Guesser.guess. Fewer than n where it would end the text, or has no room."""
        if not text or text[-1] == BREAK:
            return []
        if not self.read(text, wants_logits=True):
            return []
        tokens: list[int] = []
        while True:
            token = self._lib.llama_sampler_sample(self._sampler, self._ctx, -1)
            if self._lib.llama_vocab_is_eog(self._vocab, token):
                return tokens
            tokens.append(token)
            if len(tokens) == n or len(self._text) + 1 >= self._n_ctx:
                return tokens
            self._text.append(token)
            self._decode([token])

    def close(self) -> None:
        """Let everything go."""
        self._free_context()
        self._lib.llama_sampler_free(self._sampler)
        self._batch.free()
        self._lib.llama_model_free(self._model)

    def _free_context(self) -> None:
        if self._ctx:
            self._lib.llama_free(self._ctx)
        self._ctx = None

    def _n_agreeing(self, text: Sequence[int]) -> int:
        """How many tokens of the text the KV cache has."""
        n = min(len(self._text), len(text))
        if self._text[:n] == list(text[:n]):
            return n
        return next(i for i in range(n) if self._text[i] != text[i])

    def _decode(self, tokens: list[int]) -> None:
        self._batch.clear()
        self._batch.add(tokens, self._n_cells, n_logits=1)
        if self._lib.llama_decode(self._ctx, self._batch.raw) != 0:
            raise EngineDiedError(
                "the draft model stopped computing",
                hint="leave --draft out; --verbose shows llama.cpp's whole log",
                reference="draft-decode-failed",
            )
        self._n_cells += len(tokens)

    def _check_vocabulary(self, vocab: Any, name: str) -> None:
        """Compare every token that both have."""
        get_text = self._lib.llama_vocab_get_text
        n_vocab = self._lib.llama_vocab_n_tokens(vocab)
        apart = abs(n_vocab - self.n_vocab)
        n_both = min(n_vocab, self.n_vocab)
        if apart <= N_VOCAB_APART and all(
            get_text(vocab, token) == get_text(self._vocab, token) for token in range(n_both)
        ):
            return
        self.close()
        raise GgufError(
            f"{name} can't make drafts for this model: it has another vocabulary",
            hint="give --draft a smaller model of the same family: qwen2-vl-2b-instruct for QVQ",
            reference="draft-vocabulary",
        )
