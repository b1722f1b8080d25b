"""What a run tells while it goes, and the record it leaves.

Events are facts in the order they happened; how they look is ui's business. The last is `Solved`,
or `CutOff` where the run can't go on; both carry the `Record`, from which --json and --save are
made.

NamedTuples, all of them: as dataclasses the twenty-one took 16 ms of every start of the program.
"""

from enum import StrEnum
from typing import NamedTuple

from qvq_cli.engine.protocol import Sampling, Stage


class Finish(StrEnum):
    """Why the reasoning stopped. Only CONCLUDED is the model's own doing.

    ABORTED: the whole run was cut off, in the reasoning or in the answer: a second Ctrl-C, a
    signal, a dead worker, nobody left to read.
    """

    CONCLUDED = "concluded"
    BUDGET = "budget"
    DEADLINE = "deadline"
    LOOP = "loop"
    INTERRUPTED = "interrupted"
    LENGTH = "length"
    ABORTED = "aborted"
    CUT = "cut"
    """Only of one chain among several: the vote was decided without it."""


class Answer(NamedTuple):
    """What was found after the boundary.

    text: the answer without its wrapping, LaTeX kept; parts: one entry for each part of a
    multi-part answer, else one; source: where it was found ("boxed", "heading", "tags", "sentence",
    "plain").
    """

    text: str
    parts: tuple[str, ...]
    source: str


class Usage(NamedTuple):
    """Tokens. image_tokens: of the prompt. looks: how often the pictures were put in again.

    cached_tokens of the prompt's, and cached_images of the pictures, were not computed in this run
    but found in the cache. drafted and accepted stay 0 in a run that was cut off.
    """

    image_tokens: int = 0
    prompt_tokens: int = 0
    reasoning_tokens: int = 0
    answer_tokens: int = 0
    drafted: int = 0
    accepted: int = 0
    looks: int = 0
    cached_tokens: int = 0
    cached_images: int = 0


class Timings(NamedTuple):
    """Seconds, and tokens per second for decode_tps.

    ttft_s and total_s count from the start of the process.
    """

    load_s: float = 0.0
    image_s: float = 0.0
    prefill_s: float = 0.0
    ttft_s: float = 0.0
    decode_tps: float = 0.0
    total_s: float = 0.0


class ModelUsed(NamedTuple):
    """files: (file name, sha256 or None where nothing has verified it) of the GGUF files.

    draft: the model that makes drafts besides, with its quant.
    """

    name: str
    quant: str
    files: tuple[tuple[str, str | None], ...]
    draft: str | None = None


class ImageUsed(NamedTuple):
    """One picture: as it came and as the model saw it. `source` is what was typed."""

    source: str
    sha256: str
    width_px: int
    height_px: int
    used_width_px: int
    used_height_px: int
    tokens: int


class Notice(NamedTuple):
    """Something a person should know that isn't an error. `reference` is stable kebab-case."""

    reference: str
    message: str


class Progress(NamedTuple):
    """stage is at `share` (0.0 to 1.0) of its work."""

    stage: Stage
    share: float


class ImageReady(NamedTuple):
    image: ImageUsed


class ReasoningStarted(NamedTuple):
    """The prompt is in and the model starts; None where thinking has no such limit."""

    max_thinking_tokens: int | None
    max_thinking_s: float | None


class ReasoningDelta(NamedTuple):
    """A stretch of reasoning, and the tokens spent on reasoning so far."""

    text: str
    reasoning_tokens: int


class AnswerDelta(NamedTuple):
    text: str
    answer_tokens: int


class LookedAgain(NamedTuple):
    """The pictures were put in again, n_cells KV cells in look_s seconds; `n` counts the looks."""

    n: int
    reasoning_tokens: int
    n_cells: int
    look_s: float


class Forced(NamedTuple):
    """The program, not the model, ended the reasoning.

    `appended` is what was put in the model's mouth.
    """

    finish: Finish
    message: str
    appended: str


ChainEvent = ReasoningStarted | ReasoningDelta | AnswerDelta | LookedAgain | Forced | Notice


class InChain(NamedTuple):
    """What happened in one of several chains, counted from 0."""

    chain: int
    event: ChainEvent


class Count(NamedTuple):
    """How many chains gave an answer; it stands here as the first of them wrote it."""

    answer: str
    n: int


class Voted(NamedTuple):
    """A chain came to its end: with an answer, or with None, which is no vote.

    counts: all votes so far, most first. is_decided: the chains still running can't change it.
    """

    chain: int
    answer: str | None
    n_finished: int
    n_chains: int
    counts: tuple[Count, ...]
    is_decided: bool


class ChainRecord(NamedTuple):
    """One chain of a vote. It alone, with this seed and the run's sampling, says the same."""

    seed: int
    answer: Answer | None
    answer_text: str
    reasoning: str
    finish: Finish
    reasoning_tokens: int
    answer_tokens: int


class Votes(NamedTuple):
    """How the chains of a run voted.

    winner: the first chain that gave the answer most gave, None where none gave one; the run's
    record is its. agreed: votes for that answer. n_finished: chains that came to their end, with an
    answer or without; the others were cut because they could not have changed the outcome.
    """

    winner: int | None
    agreed: int
    n_finished: int
    counts: tuple[Count, ...]
    chains: tuple[ChainRecord, ...]

    @property
    def agreement(self) -> float:
        """The share of the finished chains that gave the answer."""
        return self.agreed / self.n_finished if self.n_finished else 0.0


class Record(NamedTuple):
    """All there is to know about one run; `ui.json` makes the body of --json of it.

    answer is None when none was reached; answer_text is everything the model said after the
    boundary. votes is None for a run of one chain; else what is said of one chain here, its texts
    and its tokens, is the winner's.
    """

    question: str
    system: str
    answer: Answer | None
    answer_text: str
    reasoning: str
    finish: Finish
    usage: Usage
    timings: Timings
    model: ModelUsed
    sampling: Sampling
    images: tuple[ImageUsed, ...]
    notices: tuple[Notice, ...] = ()
    votes: Votes | None = None


class Solved(NamedTuple):
    record: Record


class CutOff(NamedTuple):
    """What was said until the run had to stop; the error that stopped it follows."""

    record: Record


Event = (
    Notice
    | Progress
    | ImageReady
    | ReasoningStarted
    | ReasoningDelta
    | AnswerDelta
    | LookedAgain
    | Forced
    | InChain
    | Voted
    | Solved
    | CutOff
)
