"""The engine as the rest of the program sees it: plain data in, pieces of text out.

An engine holds one prompt and what is said behind it, by one chain or by several that share the
prompt. Its life is `load`, then `prefill`, then any mix of `decode`, `append` and `look_again`
(`decode_chains` and `append` with several chains), then `close`. Whatever an implementation does
ahead of its reader, the KV
cache holds exactly the pieces that were taken from `decode`: closing that iterator early undoes the
rest.

Refuses to know: what the text means, when to stop, what people see.

NamedTuples: each dataclass would cost the start of both processes a millisecond.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Literal, NamedTuple, Protocol

KvType = Literal["f16", "q8_0"]
"""How keys and values are kept: q8_0 takes 8.5 bits for each of f16's 16."""

Stage = Literal["load", "image", "prefill"]
N_BATCH = 2048
"""Tokens that are given to llama.cpp at once: its default."""
N_UBATCH = 512
"""Tokens that go through the graph at once: llama.cpp's default; memory plans count on it."""
N_VOCAB_APART = 128
"""How many tokens one vocabulary may be padded by: Qwen's 72B has 128 more than its 2B. Models
whose vocabularies differ by more make no drafts for each other."""
OnProgress = Callable[[Stage, float], None]
"""Called with the stage and the share of it that is done, 0.0 to 1.0."""


class Bitmap(NamedTuple):
    """A picture as the vision encoder takes it: already snapped to the patch grid.

    `rgb` holds height_px * width_px * 3 bytes, row by row; both sides are multiples of the
    encoder's patch size times its merge (28 px for Qwen2-VL), so llama.cpp resizes nothing. Without
    rgb it stands for a picture whose embeddings are already there.
    """

    width_px: int
    height_px: int
    rgb: bytes


class TextPart(NamedTuple):
    """A stretch of the prompt; only our own markup is parsed for special tokens."""

    text: str
    parse_special: bool


PromptPart = TextPart | Bitmap


class Sampling(NamedTuple):
    """How the next token is chosen. The defaults are greedy, as QVQ's makers ran it.

    temperature 0 takes the most likely token; top_k 0, top_p 1.0, min_p 0.0 and repeat_penalty 1.0
    switch those filters off.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    seed: int = 0


class CacheSpec(NamedTuple):
    """Where what pictures cost is kept, and what was said; and whose it is.

    max_bytes: what the folder may take; max_entry_bytes: what one entry may, which is also memory
    for a moment. model_id, mmproj_id: other for other weights. model_name: for people.
    """

    folder: str
    max_bytes: int
    max_entry_bytes: int
    model_id: str
    mmproj_id: str
    model_name: str


class LoadSpec(NamedTuple):
    """What to load and where to run it.

    n_threads: of the CPU. n_threads_batch: up to so many for pictures and, while that is faster,
    for several tokens at once; 0 for n_threads. n_gpu_layers: layers on the GPU, -1 for all.
    device: a llama.cpp device name ("CUDA0", "none"), None for llama.cpp's choice. repack: let
    llama.cpp rewrite weights for this CPU, which may crash (see hub/repacking.py). vision_on_gpu:
    run the mmproj on the GPU too. kv_type: the KV cache's. cache: None to compute everything anew.
    drafts: guess tokens and check several in one pass where that is faster. draft_path: a second
    model that makes such guesses; draft_on_gpu: all of it on the GPU.
    """

    model_path: str
    mmproj_path: str
    n_threads: int
    n_threads_batch: int = 0
    n_gpu_layers: int = 0
    device: str | None = None
    repack: bool = False
    vision_on_gpu: bool = True
    kv_type: KvType = "f16"
    cache: CacheSpec | None = None
    drafts: bool = True
    draft_path: str | None = None
    draft_on_gpu: bool = False

    @property
    def most_threads(self) -> int:
        """As many as may run at once."""
        return max(self.n_threads, self.n_threads_batch)

    def reads_model_like(self, other: "LoadSpec") -> bool:
        """Whether the text model gets into memory the same way."""
        return self._agrees(other, "model_path", "n_gpu_layers", "device", "repack")

    def reads_mmproj_like(self, other: "LoadSpec") -> bool:
        """Whether the mmproj gets into memory the same way, beside the same text model."""
        names = ("mmproj_path", "vision_on_gpu", "most_threads")
        return self.reads_model_like(other) and self._agrees(other, *names)

    def _agrees(self, other: "LoadSpec", *names: str) -> bool:
        return all(getattr(self, name) == getattr(other, name) for name in names)


class Device(NamedTuple):
    """Something that llama.cpp was built to compute on, and its free memory now.

    description: what its maker calls it, for people.
    """

    name: str
    is_gpu: bool
    free_bytes: int
    description: str = ""


class ModelInfo(NamedTuple):
    """What the engine found out while loading."""

    n_ctx_train: int
    n_vocab: int
    load_s: float


class Reserve(NamedTuple):
    """Tokens kept free after the prompt: n_max wanted, n_min without which there is no point.

    Each of n_chains has as many for itself.
    """

    n_min: int
    n_max: int
    n_chains: int = 1


class Prefilled(NamedTuple):
    """The state after the prompt: n_tokens KV cells used, n_pos the next M-RoPE position.

    The two differ as soon as there is a picture: an image of (h, w) merged patches takes h*w cells
    but advances the position by max(h, w). n_ctx: cells there are for the prompt and one chain.
    cached_tokens of the cells and cached_images of the pictures were not computed but found in the
    cache. load_s: what loading the mmproj took, if a picture needed it.
    """

    n_tokens: int
    n_pos: int
    n_ctx: int
    image_tokens: tuple[int, ...]
    image_s: float
    prefill_s: float
    load_s: float = 0.0
    cached_tokens: int = 0
    cached_images: int = 0


class Piece(NamedTuple):
    """One decoded token: its id and its bytes (which may end inside a UTF-8 character).

    has_next: the piece after it is already here, so whoever shows text may wait for it.
    """

    token: int
    data: bytes
    is_eog: bool = False
    has_next: bool = False


class Spoken(NamedTuple):
    """What one of several chains said in a round."""

    chain: int
    piece: Piece


Round = tuple[Spoken, ...]
"""One token of every chain that is still going, in the order of the chains."""


def chain_seed(seed: int, chain: int) -> int:
    """The seed of one of several chains: it alone with this seed says the same.

    The first chain has the run's own. The step is an odd number with no pattern in its bits, so
    that the chains of neighbouring seeds have nothing in common (source: MurmurHash3).
    """
    return (seed + 0x85EBCA6B * chain) & 0xFFFFFFFF


class DraftCounts(NamedTuple):
    """Tokens that were guessed since the prompt, and those of them that the model chose too."""

    drafted: int
    accepted: int


class Engine(Protocol):
    """One loaded model and what was said in its KV cache."""

    def devices(self) -> tuple[Device, ...]:
        """What there is to compute on, the CPU too; can be asked before anything is loaded."""

    def load(self, spec: LoadSpec, on_progress: OnProgress) -> ModelInfo:
        """Load the model; its mmproj may wait for the first picture that needs it.

        Raises: GgufError: llama.cpp refused a file. EngineDiedError, DoesNotFitError: it died
        trying.
        """

    def prefill(
        self,
        parts: Sequence[PromptPart],
        reserve: Reserve,
        sampling: Sampling,
        on_progress: OnProgress,
        *,
        keep_pictures: bool = False,
    ) -> Prefilled:
        """Run the prompt, in a context made just large enough for it and the reserve.

        Args:
            keep_pictures: keep their embeddings for `look_again`.
        Raises: PromptError: the prompt leaves less than reserve.n_min of what the model can hold.
            As load: the mmproj is refused.
        """

    def decode(self, n_max: int) -> Generator[Piece]:
        """Generate up to n_max tokens; end of generation comes as a last Piece with is_eog.

        Close the iterator to stop early: the KV cache then ends with the last piece that was taken.
        """

    def decode_chains(self, chains: Sequence[int], n_rounds: int) -> Generator[Round]:
        """Generate for several chains at once: up to n_rounds rounds of a token for each.

        Only after a prefill with a reserve for several chains, whose seeds are `chain_seed`s. A
        chain leaves with its end of generation, or without a word when its cells are used up; the
        others go on. Close the iterator to stop early: every chain then ends with the last round
        that was taken, as if the rest had never been.
        """

    def append(self, text: str, *, parse_special: bool = False, chain: int = 0) -> int:
        """Put text after what is in the KV cache as if the model had said it. Returns: its tokens.

        Sampling after an append depends only on the seed and the number of tokens before it.
        """

    def look_again(self, before: str, after: str) -> int:
        """Put all pictures of the prompt, between two texts, after what is in the KV cache.

        Nothing is encoded again: it costs their prefill, at the next n_pos, and as many cells.
        Sampling goes on as after an append. Returns: the cells it took.
        Raises: PromptError: no room is left, or the prefill kept no pictures.
        """

    def draft_counts(self) -> DraftCounts:
        """How the drafts fared so far."""

    def close(self) -> None:
        """Let everything go; safe to call twice and from any state."""
