"""Several chains behind one prompt, decoded as sequences of one batch.

The prompt's KV cells belong to all chains (llama.cpp's unified cache, `llama_memory_seq_cp`); what
a chain says is its own. A pass of the weights, which is what decoding waits for on most machines,
then serves all chains at once; where small batches are slow (tiles.py), two passes do.

What was said and is not in the KV cache yet is a chain's pending text: a token of the last round,
or a conclusion that was appended. The next round runs all of it.

Source of the technique: llama.cpp, examples/parallel.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from qvq_cli.engine.protocol import Piece, Round, Sampling, Spoken, chain_seed
from qvq_cli.engine.sampler import make_sampler
from qvq_cli.engine.text_batch import TextBatch
from qvq_cli.errors import PromptError

N_PENDING_MAX = 32
"""Tokens a chain may have pending, and of a longer text run in one pass. Those of 64 chains fill a
batch; from 64 tokens on llama.cpp's attention on a CPU rounds by where other chains' cells lie.
"""


@dataclass(slots=True)
class _Chain:
    """One sequence of the KV cache.

    history: the prompt's last token and all text tokens since, the last n_pending of which are not
    in the KV cache; n_begun were not when the last decode began. n_tokens cells and n_pos positions
    are taken. n_said: length of the text when the sampler was made, n_draws: its choices since.
    """

    seq_id: int
    sampling: Sampling
    history: list[int]
    n_tokens: int
    n_pos: int
    sampler: Any = None
    n_pending: int = 0
    n_begun: int = 0
    n_said: int = 0
    n_draws: int = 0


class Machinery(NamedTuple):
    """What the chains compute with: the engine's context and its ways of using it.

    run: decodes `batch`. split: how many of so many tokens to run in each pass. piece: the bytes of
    a token.
    """

    lib: Any
    ctx: Any
    vocab: Any
    batch: TextBatch
    run: Callable[[], None]
    split: Callable[[int], Sequence[int]]
    piece: Callable[[int], Piece]


class Chains:
    """The chains of one prompt, which must just have been read into sequence 0.

    Args:
        n_ctx: the cells that one chain may take, the prompt's included.
        last_token: the prompt's.
    """

    def __init__(
        self,
        machinery: Machinery,
        sampling: Sampling,
        *,
        n_chains: int,
        n_ctx: int,
        n_tokens: int,
        n_pos: int,
        last_token: int,
    ) -> None:
        self._m = machinery
        self._lib = machinery.lib
        self._memory = self._lib.llama_get_memory(machinery.ctx)
        self._n_ctx = n_ctx
        self._log: list[list[tuple[_Chain, Piece]]] = []
        self._chains = []
        for i in range(n_chains):
            if i > 0:
                self._lib.llama_memory_seq_cp(self._memory, 0, i, -1, -1)
            own = sampling._replace(seed=chain_seed(sampling.seed, i))
            chain = _Chain(i, own, [last_token], n_tokens, n_pos)
            self._renew_sampler(chain)
            self._chains.append(chain)

    def decode(self, indices: Sequence[int], n_rounds: int) -> Generator[Round]:
        """See Engine.decode_chains. Never runs ahead."""
        self._log = []
        going = [self._chains[i] for i in indices]
        for chain in going:
            chain.n_begun = chain.n_pending
        for _ in range(n_rounds):
            going = [chain for chain in going if chain.n_tokens + chain.n_pending <= self._n_ctx]
            if not going:
                return
            said = self._round(going)
            self._log.append(said)
            going = [chain for chain, piece in said if not piece.is_eog]
            yield tuple(Spoken(chain.seq_id, piece) for chain, piece in said)

    def append(self, index: int, tokens: Sequence[int]) -> None:
        """Put tokens behind what a chain has said; they are run with the next round.

        Raises: PromptError: no room for them.
        """
        chain = self._chains[index]
        if chain.n_tokens + chain.n_pending + len(tokens) > self._n_ctx:
            raise PromptError("no room is left in the context for the conclusion")
        chain.history += tokens
        chain.n_pending += len(tokens)
        chain.n_said, chain.n_draws = len(chain.history) - 1, 0
        self._renew_sampler(chain)
        while chain.n_pending > N_PENDING_MAX:
            self._run([chain], n_held=chain.n_pending - N_PENDING_MAX)
        for n in self._m.split(chain.n_pending)[:-1]:
            self._run([chain], n_held=chain.n_pending - n)

    def rewind(self, n_rounds: int) -> None:
        """Forget the last n_rounds rounds of the last decode, as if they had never been."""
        n_kept = len(self._log) - n_rounds
        dropped, self._log = self._log[n_kept:], self._log[:n_kept]
        for chain in self._chains:
            pieces = [piece for said in dropped for other, piece in said if other is chain]
            if pieces:
                self._drop(chain, pieces)

    def close(self) -> None:
        """Free the samplers; the KV cache is the engine's."""
        for chain in self._chains:
            self._lib.llama_sampler_free(chain.sampler)
        self._chains = []

    def _round(self, going: Sequence[_Chain]) -> list[tuple[_Chain, Piece]]:
        """One token of each chain. Those with nothing pending stand right behind the prompt."""
        waiting = [chain for chain in going if chain.n_pending]
        pieces = {chain.seq_id: self._say(chain, -1) for chain in going if not chain.n_pending}
        for together in self._passes(waiting):
            for chain, row in zip(together, self._run(together), strict=True):
                pieces[chain.seq_id] = self._say(chain, row)
        return [(chain, pieces[chain.seq_id]) for chain in going]

    def _passes(self, waiting: Sequence[_Chain]) -> Iterator[list[_Chain]]:
        """The chains that run together; each says its token before the next ones run."""
        sizes = self._m.split(sum(chain.n_pending for chain in waiting))
        together: list[_Chain] = []
        n_tokens = 0
        for chain in waiting:
            if together and n_tokens + chain.n_pending > sizes[0]:
                yield together
                together, n_tokens = [], 0
            together.append(chain)
            n_tokens += chain.n_pending
        if together:
            yield together

    def _say(self, chain: _Chain, row: int) -> Piece:
        """Choose a chain's next token from its logits."""
        token = self._lib.llama_sampler_sample(chain.sampler, self._m.ctx, row)
        chain.n_draws += 1
        piece = self._m.piece(token)
        if piece.is_eog:
            self._hold_last(chain)
        else:
            chain.history.append(token)
            chain.n_pending = 1
        return piece

    def _run(self, waiting: Sequence[_Chain], n_held: int = 0) -> list[int]:
        """Put what is pending, but for n_held tokens of each chain, into the KV cache.

        Returns: for each chain the row of the batch that has its logits.
        """
        for chain in self._chains:
            if not chain.n_pending:
                self._hold_last(chain)  # the logits it stood on are about to be replaced
        batch, rows = self._m.batch, []
        batch.clear()
        n_logits = 0 if n_held else 1
        for chain in waiting:
            n_said = len(chain.history)
            tokens = chain.history[n_said - chain.n_pending : n_said - n_held]
            n_batch = batch.add(tokens, chain.n_pos, n_logits=n_logits, seq_id=chain.seq_id)
            chain.n_pos += len(tokens)
            chain.n_tokens += len(tokens)
            chain.n_pending = n_held
            rows.append(n_batch - 1)
        self._m.run()
        return rows

    def _hold_last(self, chain: _Chain) -> None:
        """Make the last token pending again: its logits are gone or have been used."""
        self._remove(chain, 1)
        chain.n_pending = 1

    def _drop(self, chain: _Chain, pieces: Sequence[Piece]) -> None:
        """Take back the last pieces of a chain and the draws that chose them."""
        n_cached = len(chain.history) - chain.n_pending
        n_tokens = sum(not piece.is_eog for piece in pieces)
        del chain.history[len(chain.history) - n_tokens :]
        is_begun = any(chain is other for said in self._log for other, _ in said)
        chain.n_pending = 1 if is_begun else max(1, chain.n_begun)
        self._remove(chain, n_cached - (len(chain.history) - chain.n_pending))
        chain.n_draws -= len(pieces)
        self._renew_sampler(chain)

    def _remove(self, chain: _Chain, n: int) -> None:
        if n > 0:
            self._lib.llama_memory_seq_rm(self._memory, chain.seq_id, chain.n_pos - n, -1)
            chain.n_pos -= n
            chain.n_tokens -= n

    def _renew_sampler(self, chain: _Chain) -> None:
        if chain.sampler:
            self._lib.llama_sampler_free(chain.sampler)
        chain.sampler = make_sampler(
            self._lib,
            self._m.vocab,
            chain.sampling,
            chain.history,
            n_said=chain.n_said,
            n_draws=chain.n_draws,
        )
