"""Choosing tokens with llama.cpp's samplers, in a way that can be gone back on.

A sampler's choices depend on its seed, the text it has seen and how many it has made: nothing else,
so one that is made anew in the middle goes on as the old one would have.
"""

import ctypes
import os
import threading
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from qvq_cli.engine.protocol import Sampling

N_PENALTY = 64
"""Tokens that --repeat-penalty looks back on; llama.cpp's own default."""


def make_sampler(
    lib: Any,
    vocab: Any,
    sampling: Sampling,
    history: Sequence[int],
    n_said: int | None = None,
    n_draws: int = 0,
) -> Any:
    """A chain of llama.cpp's samplers, ordered as llama.cpp does; whoever asks for it frees it.

    Args:
        history: the prompt's last token and what was said since.
        n_said: how much had been said when the sampler that is to be gone on with was made; None
            for one that begins here.
        n_draws: how many choices that one had made.
    """
    chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
    steps = []
    if sampling.repeat_penalty != 1.0:
        n_vocab = lib.llama_vocab_n_tokens(vocab)
        steps.append(
            lib.llama_sampler_init_penalties(n_vocab, N_PENALTY, sampling.repeat_penalty, 0.0, 0.0)
        )
    if sampling.temperature <= 0:
        steps.append(lib.llama_sampler_init_greedy())
    else:
        if sampling.top_k > 0:
            steps.append(lib.llama_sampler_init_top_k(sampling.top_k))
        if sampling.top_p < 1.0:
            steps.append(lib.llama_sampler_init_top_p(sampling.top_p, 1))
        if sampling.min_p > 0.0:
            steps.append(lib.llama_sampler_init_min_p(sampling.min_p, 1))
        steps.append(lib.llama_sampler_init_temp(sampling.temperature))
        n_before = len(history) - 1 if n_said is None else n_said
        seed = (sampling.seed + 0x9E3779B1 * n_before) & 0xFFFFFFFF
        # The highest, LLAMA_DEFAULT_SEED, would ask llama.cpp for a random one.
        dist = lib.llama_sampler_init_dist(min(seed, lib.LLAMA_DEFAULT_SEED - 1))
        _draw(lib, dist, n_draws)
        steps.append(dist)
    for step in steps:
        lib.llama_sampler_chain_add(chain, step)
    for token in history[1:][-N_PENALTY:]:
        lib.llama_sampler_accept(chain, token)
    return chain


def is_plain_greedy(sampling: Sampling) -> bool:
    """Whether the greatest logit is chosen, and nothing else has a say."""
    return sampling.temperature <= 0 and sampling.repeat_penalty == 1.0


class GreatestLogit:
    """Stands in for llama_sampler_sample where the greatest logit is chosen: the same tokens.

    That function first writes 12 bytes for each of a vocabulary's 152,000 tokens: 0.3 to 0.5 ms
    that a GPU waits for. numpy is imported on the side: whoever makes this has a prompt to read.
    """

    def __init__(self, lib: Any, n_vocab: int) -> None:
        # Declared anew to get a number: for a pointer, ctypes makes two objects a token.
        declare = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32)
        self._address_of = declare(("llama_get_logits_ith", lib._lib))
        self._n_vocab = n_vocab
        self._rows: dict[int, Any] = {}
        self._numpy: Any = None
        self._importing = threading.Thread(target=self._import, daemon=True)
        self._importing.start()

    def __call__(self, _sampler: Any, ctx: Any, row: int) -> int:
        """The token with the greatest logit of a row, of equal ones the first."""
        address = self._address_of(ctx, row)
        logits = self._rows.get(address)
        if logits is None:
            logits = self._rows[address] = self._view(address)
        return int(logits.argmax())

    def _import(self) -> None:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # which would start one for each core
        self._numpy = import_module("numpy")

    def _view(self, address: int) -> Any:
        """A row of logits where llama.cpp has just said that it lies."""
        self._importing.join()
        memory = (ctypes.c_float * self._n_vocab).from_address(address)
        return self._numpy.frombuffer(memory, dtype=self._numpy.float32)


def _draw(lib: Any, dist: Any, n_draws: int) -> None:
    """Let a random sampler make n_draws choices: llama.cpp draws once for each, whatever it is.

    Source: llama-sampler.cpp, llama_sampler_dist_apply.
    """
    only = lib.llama_token_data(0, 0.0, 0.0)
    choice = lib.llama_token_data_array(ctypes.pointer(only), 1, -1, False)
    for _ in range(n_draws):
        lib.llama_sampler_apply(dist, ctypes.byref(choice))
