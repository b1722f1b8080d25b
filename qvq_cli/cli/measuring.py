"""What `qvq bench` measures, on an engine that has been started: a model's parts, one by one.

Every figure is the median of its runs. However slow a model is, each part is run at least once;
more runs follow only within the part's share of the time there is. What was measured stays in
`Measured` when Ctrl-C comes between.

Refuses to know: what follows from the figures, and what people see.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from qvq_cli.engine.grid import ImageLimits, image_grid
from qvq_cli.engine.process import WorkerEngine
from qvq_cli.engine.protocol import Bitmap, LoadSpec, Piece, PromptPart, Reserve, TextPart
from qvq_cli.hub.catalog import Profile
from qvq_cli.reasoning.prompt import build_prompt
from qvq_cli.reasoning.transcript import Dialect

BATCHES = range(1, 9)
PICTURE_PX = (640, 480)
"""What a picture is drawn at, before it is snapped to the model's patches as solve would."""
SMALL_IMAGE_TOKENS = 64

_PICTURE_SHARE, _DECODE_SHARE = 0.4, 0.6  # of the time, when the part should be over
_MAX_RUNS = 5
_MAX_ROUNDS = 15
_PASSES_A_ROUND = 2
_DECODE_TOKENS = (8, 64)  # in a run: at first, at most
_RUN_S = 1.0
_MAX_DECODED = 512
ROOM_TOKENS = _MAX_DECODED + 256
"""KV cells beside the prompt: what is decoded, and what makes the model go on."""
_GO_ON = "\n\nLet me check this once more. "
_QUESTION = "Read the values off the picture. Which of them is the largest, and by how much? "
_QUESTION_TOKENS, _N_QUESTIONS = 20, 16
_DISK_SHARE = 0.9  # of the files; below this the system had part of them in memory already


@dataclass(frozen=True, slots=True)
class Runs:
    """The values of one figure. spread: between the quartiles, as a share of the median."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def spread(self) -> float | None:
        if len(self.values) < 2:
            return None
        low, _, high = quantiles(self.values, n=4, method="inclusive")
        return (high - low) / self.median


@dataclass
class Measured:
    """Grows while it is measured; None and empty where that hasn't come yet.

    image_tokens, prompt_tokens: of what image_s and prefill_s are the seconds of. is_small: there
    was no time for a usual picture. is_cold: nor for a second small one, so that the weights were
    touched for the first time. batch_s: seconds of a pass by the tokens in its batch, at a depth of
    n_depth tokens.
    """

    load_s: float | None = None
    disk_bytes_per_s: float | None = None
    image_tokens: int = 0
    image_s: Runs | None = None
    prompt_tokens: int = 0
    prefill_s: Runs | None = None
    is_small: bool = False
    is_cold: bool = False
    decode_tps: Runs | None = None
    n_depth: int = 0
    batch_s: dict[int, Runs] = field(default_factory=dict)

    @property
    def token_s(self) -> float | None:
        """Seconds a token takes; of a batch of one, where the model would not go on writing."""
        if self.decode_tps is not None:
            return 1.0 / self.decode_tps.median
        return self.batch_s[1].median if 1 in self.batch_s else None


class Measurer:
    """Measures one model.

    Args:
        seconds: how long the measuring should take once the model is loaded.
        tell: told what is measured next.
    """

    def __init__(
        self, engine: WorkerEngine, profile: Profile, seconds: float, tell: Callable[[str], None]
    ) -> None:
        self._engine, self._profile, self._seconds, self._tell = engine, profile, seconds, tell
        self.measured = Measured()

    def measure(self, spec: LoadSpec, n_file_bytes: int) -> None:
        """Load, then measure everything.

        Args: n_file_bytes: of the model, all of which a first load reads.
        Raises: QvqError: as the engine.
        """
        self._tell("loading the model")
        self._load(spec, n_file_bytes)
        self._began_s = time.perf_counter()
        self._measure_prompts()
        self._measure_decoding()
        self._measure_batches()

    def _has_time(self, share: float, next_s: float) -> bool:
        """Whether something that takes so long ends within this share of the time."""
        return time.perf_counter() - self._began_s + next_s <= share * self._seconds

    def _load(self, spec: LoadSpec, n_file_bytes: int) -> None:
        pid, measured = self._engine.pid, self.measured
        before = _bytes_from_disk(pid)
        measured.load_s = self._engine.load(spec, _ignore_progress).load_s
        after = _bytes_from_disk(pid)
        if before is not None and after is not None:
            n_read = after - before
            if n_read >= _DISK_SHARE * n_file_bytes:
                measured.disk_bytes_per_s = n_read / measured.load_s

    # pictures and prompts

    def _measure_prompts(self) -> None:
        """First a small picture; one as solve would make it as often as there is time for it.

        A small picture's prompt goes through in pieces too short to tell how fast a long one is, so
        where it stays with that, text of some length follows.
        """
        measured, limits = self.measured, self._profile.limits
        small = limits._replace(image_tokens_min=1, image_tokens_max=SMALL_IMAGE_TOKENS)
        self._tell("a small picture, to warm up")
        took_s = self._run(lambda number: _prompt(self._profile, small, number), n_max=1)
        usual = image_grid(*PICTURE_PX, limits).image_tokens
        if self._has_time(_PICTURE_SHARE, took_s * usual / measured.image_tokens):
            self._tell(f"a picture of {usual:,} tokens, and the prompt")
            self._run(lambda number: _prompt(self._profile, limits, number))
            return
        measured.is_small = True
        measured.is_cold = not self._has_time(_PICTURE_SHARE, took_s)
        if not measured.is_cold:
            self._run(lambda number: _prompt(self._profile, small, number))
        n_text = _N_QUESTIONS * _QUESTION_TOKENS
        assert measured.prefill_s is not None
        a_token_s = measured.prefill_s.median / measured.prompt_tokens
        if self._has_time(_DECODE_SHARE, a_token_s * n_text):
            self._tell("a longer text")
            text = TextPart(_QUESTION * _N_QUESTIONS, parse_special=False)
            self._run(lambda _: (text,), has_picture=False)

    def _run(
        self,
        prompt: Callable[[int], Sequence[PromptPart]],
        *,
        n_max: int = _MAX_RUNS,
        has_picture: bool = True,
    ) -> float:
        """Run prompts of one size once, and again while there is time.

        They take the place of what was measured before: of the prompt, and if they have one, of the
        picture.
        Returns: seconds that the last one took.
        """
        measured, reserve = self.measured, Reserve(_DECODE_TOKENS[0] + BATCHES[-1], ROOM_TOKENS)
        image_s, prefill_s = None, None
        for number in range(n_max):
            done = self._engine.prefill(
                prompt(number), reserve, self._profile.sampling, _ignore_progress
            )
            took_s = done.image_s + done.prefill_s
            measured.load_s = (measured.load_s or 0.0) + done.load_s  # the mmproj's, at first
            prefill_s = _more(prefill_s, done.prefill_s)
            measured.prompt_tokens, measured.prefill_s = done.n_tokens, prefill_s
            if has_picture:
                image_s = _more(image_s, done.image_s)
                measured.image_tokens, measured.image_s = sum(done.image_tokens), image_s
            if not self._has_time(_PICTURE_SHARE, took_s):
                break
        return took_s

    # tokens

    def _measure_decoding(self) -> None:
        """Runs of some tokens, a second long at most; where the model ends, it is made to go on."""
        self._tell("decoding")
        n_tokens, n_decoded, run_s = _DECODE_TOKENS[0], 0, 0.0
        is_first = True  # its token is chosen already, and costs no pass
        for _ in range(_MAX_ROUNDS):
            is_enough = self.measured.decode_tps is not None
            is_over = not self._has_time(_DECODE_SHARE, run_s)
            if n_decoded + n_tokens > _MAX_DECODED or (is_enough and is_over):
                break
            if is_first:
                is_first = self._has_ended(self._engine.decode(1))
                continue
            began_s = time.perf_counter()
            pieces = list(self._engine.decode(n_tokens))
            run_s = time.perf_counter() - began_s
            tps = len(pieces) / run_s
            self.measured.decode_tps = _more(self.measured.decode_tps, tps)
            n_decoded += len(pieces)
            is_first = self._has_ended(pieces)
            n_tokens = min(max(round(tps * _RUN_S), _DECODE_TOKENS[0]), _DECODE_TOKENS[1])
        self.measured.n_depth = self.measured.prompt_tokens + n_decoded

    def _has_ended(self, pieces: Iterable[Piece]) -> bool:
        """Whether the model has written its last token, which is then no longer the last."""
        is_end = any(piece.is_eog for piece in pieces)
        if is_end:
            self._engine.append(_GO_ON)
        return is_end

    def _measure_batches(self) -> None:
        """All sizes in turn, so that whatever else the machine does meets them alike."""
        self._tell(f"batches of {BATCHES[0]} to {BATCHES[-1]} tokens")
        round_s = 0.0
        for number in range(_MAX_ROUNDS):
            if number and not self._has_time(1.0, round_s):
                break
            began_s = time.perf_counter()
            for size in BATCHES:
                for seconds in self._engine.time_batch(size, _PASSES_A_ROUND):
                    runs = self.measured.batch_s.get(size)
                    self.measured.batch_s[size] = _more(runs, seconds)
            round_s = time.perf_counter() - began_s


def _prompt(profile: Profile, limits: ImageLimits, number: int) -> tuple[PromptPart, ...]:
    """A question on stripes; another number makes other stripes."""
    grid = image_grid(*PICTURE_PX, limits)
    width_px, height_px = grid.w * limits.token_px, grid.h * limits.token_px
    row = bytes(_stripes(width_px, 1 + number))
    picture = Bitmap(width_px, height_px, row * height_px)
    return build_prompt(profile.system, [picture], _QUESTION.rstrip(), Dialect(profile.dialect))


def _stripes(width_px: int, step: int) -> Iterator[int]:
    for x in range(width_px):
        yield from (x * step % 256, x * 3 % 256, 255 - x * step % 256)


def _more(runs: Runs | None, value: float) -> Runs:
    return Runs((*(runs.values if runs else ()), value))


def _bytes_from_disk(pid: int) -> int | None:
    """What a process has read so far that wasn't in memory already; only Linux tells."""
    try:
        lines = Path(f"/proc/{pid}/io").read_text("ascii").splitlines()
    except OSError:
        return None
    counts = dict(line.split(": ") for line in lines)
    return int(counts["read_bytes"]) if "read_bytes" in counts else None


def _ignore_progress(_stage: object, _share: float) -> None:
    """The engine tells how far it is; here only how long it took is wanted."""
