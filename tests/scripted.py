"""An engine that says what it is told: stands in for QVQ, whose weights can't be had here.

It replays text as tokens of a few bytes (cutting UTF-8 characters like a real vocabulary does) and
keeps account of its context, so that tests see what a policy would have left in the KV cache.
"""
# ruff: noqa: ARG002  # the protocol's arguments that a script has no use for

from collections.abc import Generator, Sequence

from qvq_cli.engine.protocol import (
    Bitmap,
    Device,
    DraftCounts,
    LoadSpec,
    ModelInfo,
    OnProgress,
    Piece,
    Prefilled,
    PromptPart,
    Reserve,
    Round,
    Sampling,
    Spoken,
)

TOKEN_BYTES = 4


class ScriptedEngine:
    """Says `thoughts` after the prompt, and `conclusions` one by one after each append.

    A look at the pictures doesn't disturb what it says; in `context` it is its texts with `<image>`
    between them.

    Args:
        n_ctx_train: what the pretended model can hold.
    """

    def __init__(
        self, thoughts: str, conclusions: Sequence[str] = (), *, n_ctx_train: int = 1 << 20
    ) -> None:
        self._script = [thoughts, *conclusions]
        self._n_ctx_train = n_ctx_train
        self._rest = b""
        self.context = b""
        self.appended: list[str] = []
        self.n_free = 0
        self._n_picture = 0

    def devices(self) -> tuple[Device, ...]:
        return (Device("CPU", is_gpu=False, free_bytes=1 << 40),)

    def load(self, spec: LoadSpec, on_progress: OnProgress) -> ModelInfo:
        on_progress("load", 1.0)
        return ModelInfo(self._n_ctx_train, 256, 0.0)

    def prefill(
        self,
        parts: Sequence[PromptPart],
        reserve: Reserve,
        sampling: Sampling,
        on_progress: OnProgress,
        *,
        keep_pictures: bool = False,
    ) -> Prefilled:
        images = [
            part.width_px * part.height_px // 784 for part in parts if isinstance(part, Bitmap)
        ]
        text = "".join(part.text for part in parts if not isinstance(part, Bitmap))
        n_prompt = sum(images) + len(text.encode()) // TOKEN_BYTES
        n_ctx = min(n_prompt + reserve.n_max, self._n_ctx_train)
        self._rest = self._script.pop(0).encode()
        self.n_free = n_ctx - n_prompt
        self._n_picture = sum(images) + 2 * len(images) if keep_pictures else 0
        return Prefilled(n_prompt, n_prompt, n_ctx, tuple(images), 0.0, 0.0)

    def decode(self, n_max: int) -> Generator[Piece]:
        for _ in range(n_max):
            if not self._rest:
                yield Piece(0, b"", is_eog=True)
                return
            data, self._rest = self._rest[:TOKEN_BYTES], self._rest[TOKEN_BYTES:]
            self.context += data
            self.n_free -= 1
            yield Piece(1, data)

    def decode_chains(self, chains: Sequence[int], n_rounds: int) -> Generator[Round]:
        raise NotImplementedError("a script of one chain")

    def append(self, text: str, *, parse_special: bool = False, chain: int = 0) -> int:
        self.appended.append(text)
        self.context += text.encode()
        self._rest = self._script.pop(0).encode() if self._script else b""
        n = len(text) // TOKEN_BYTES + 1
        self.n_free -= n
        return n

    def look_again(self, before: str, after: str) -> int:
        assert self._n_picture, "no pictures were kept"
        self.context += before.encode() + b"<image>" + after.encode()
        n = self._n_picture + (len(before.encode()) + len(after)) // TOKEN_BYTES + 1
        self.n_free -= n
        assert self.n_free >= 0, "the context is full"
        return n

    def draft_counts(self) -> DraftCounts:
        return DraftCounts(0, 0)

    def close(self) -> None:
        pass


class ScriptedChains(ScriptedEngine):
    """Several scripts behind one prompt, a token of each a round.

    asked: the chains and rounds of every decode; taken: how many rounds of it were. n_cells: what
    each chain may say in all.
    """

    def __init__(self, *scripts: Sequence[str], n_cells: int = 1 << 20) -> None:
        super().__init__("", n_ctx_train=1 << 20)
        self.chains = [ScriptedEngine(thoughts, said) for thoughts, *said in scripts]
        self.asked: list[tuple[list[int], int]] = []
        self.taken: list[int] = []
        self._n_cells = n_cells

    def prefill(
        self,
        parts: Sequence[PromptPart],
        reserve: Reserve,
        sampling: Sampling,
        on_progress: OnProgress,
        *,
        keep_pictures: bool = False,
    ) -> Prefilled:
        assert reserve.n_chains == len(self.chains)
        for chain in self.chains:
            prefilled = chain.prefill(parts, reserve, sampling, on_progress)
        return prefilled

    def decode_chains(self, chains: Sequence[int], n_rounds: int) -> Generator[Round]:
        self.asked.append((list(chains), n_rounds))
        self.taken.append(0)
        going = list(chains)
        for _ in range(n_rounds):
            going = [i for i in going if len(self.chains[i].context) < self._n_cells * TOKEN_BYTES]
            if not going:
                return
            said = tuple(Spoken(i, next(self.chains[i].decode(1))) for i in going)
            self.taken[-1] += 1
            going = [i for i, piece in said if not piece.is_eog]
            yield said

    def append(self, text: str, *, parse_special: bool = False, chain: int = 0) -> int:
        self.appended.append(text)
        return self.chains[chain].append(text)
