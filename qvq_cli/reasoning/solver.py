"""One run: prompt in, reasoning and answer out, whatever the model does.

    load -> prefill -> THINKING -> ANSWERING -> record
                          |  the model's own boundary            -> ANSWERING   (concluded)
                          |  budget, deadline, loop, Ctrl-C,
                          |  no room left: append the boundary   -> ANSWERING   (that reason)
                          |  end of generation without boundary  -> record      (concluded)

Policies live in their own modules; this one only asks them in turn after each token. Room for the
answer is part of the context from the start, so every run that thinks can also answer.
"""

import codecs
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby

from qvq_cli.engine.protocol import (
    Bitmap,
    Engine,
    LoadSpec,
    Piece,
    Prefilled,
    Reserve,
    Sampling,
    Stage,
)
from qvq_cli.reasoning.budget import Budget, BudgetState, ThinkingBudget
from qvq_cli.reasoning.control import Control
from qvq_cli.reasoning.events import (
    AnswerDelta,
    Event,
    Finish,
    Forced,
    ImageUsed,
    ModelUsed,
    Notice,
    Progress,
    ReasoningDelta,
    ReasoningStarted,
    Record,
    Solved,
    Timings,
    Usage,
)
from qvq_cli.reasoning.language import DriftDetector, question_language
from qvq_cli.reasoning.loops import LoopDetector
from qvq_cli.reasoning.prompt import build_prompt
from qvq_cli.reasoning.transcript import Channelled, Dialect, Transcript

N_CONCLUSION = 32
"""KV cells kept for the appended boundary."""
N_THINKING_UNBOUNDED = 8192
"""Tokens of room for thinking that only a clock limits: what QVQ's makers allowed in their tests.

Source: VLMEvalKit, vlmeval/config.py, max_new_tokens of QVQ-72B-Preview.
"""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is asked, and how the model likes to be asked."""

    question: str
    system: str
    bitmaps: tuple[Bitmap, ...]
    dialect: Dialect


@dataclass(frozen=True, slots=True)
class Policy:
    """How far the model may go."""

    budget: ThinkingBudget
    max_answer_tokens: int
    sampling: Sampling

    @property
    def reserve(self) -> Reserve:
        """KV cells to keep free after the prompt: always an answer, and thinking if there is
        room."""
        n_answer = self.max_answer_tokens + N_CONCLUSION
        n_thinking = self.budget.reserve_tokens
        return Reserve(
            n_answer, n_answer + (N_THINKING_UNBOUNDED if n_thinking is None else n_thinking)
        )


@dataclass(frozen=True, slots=True)
class About:
    """What the record says besides the run itself.

    started_s: perf_counter() when the program began.
    """

    model: ModelUsed
    images: tuple[ImageUsed, ...]
    started_s: float


class Solver:
    """Solves one problem on one engine, telling everything on the way.

    Args:
        tell: gets every event as it happens; the last is Solved.
    """

    def __init__(
        self,
        engine: Engine,
        policy: Policy,
        control: Control,
        tell: Callable[[Event], None],
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._control = control
        self._tell = tell
        self._notices: list[Notice] = []
        self._finish = Finish.CONCLUDED
        self._loops = LoopDetector()
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._reasoning_tokens = 0
        self._answer_tokens = 0
        self._clock = _DecodeClock()
        self._untold: list[Channelled] = []

    def solve(self, spec: LoadSpec, problem: Problem, about: About) -> Record:
        """Load the model and run the problem; once for each Solver.

        Raises: whatever the engine raises. A run that only fails to reach an answer is no error:
        its
            Record has answer None.
        """
        self._problem = problem
        self._language = question_language(problem.question)
        self._transcript = Transcript(problem.dialect)
        self._drift = DriftDetector(self._language)
        info = self._engine.load(spec, self._progress)
        prefilled = self._prefill()
        if problem.dialect is Dialect.PLAIN:
            self._answer()
        elif self._policy.budget.max_tokens == 0:
            self._conclude(Finish.BUDGET, "answering at once, without thinking")
        else:
            self._think(prefilled)
        self._untold += self._transcript.finish()
        self._tell_text()
        record = self._record(about, info.load_s, prefilled)
        self._tell(Solved(record))
        return record

    def notice(self, reference: str, message: str) -> None:
        """Tell a person something and keep it for the record."""
        self._tell_text()
        self._notices.append(Notice(reference, message))
        self._tell(self._notices[-1])

    def _progress(self, stage: Stage, share: float) -> None:
        self._tell(Progress(stage, share))

    def _prefill(self) -> Prefilled:
        problem = self._problem
        parts = build_prompt(problem.system, problem.bitmaps, problem.question, problem.dialect)
        return self._engine.prefill(
            parts, self._policy.reserve, self._policy.sampling, self._progress
        )

    # thinking

    def _think(self, prefilled: Prefilled) -> None:
        """Decode until the model answers by itself, or a policy makes it."""
        wanted = self._policy.budget
        room = prefilled.n_ctx - prefilled.n_tokens - self._policy.reserve.n_min
        if wanted.max_tokens is not None and wanted.max_tokens > room:
            self.notice(
                "thinking-shortened",
                f"this model's context leaves {room} tokens for thinking, not {wanted.max_tokens}",
            )
        self._tell(ReasoningStarted(wanted.max_tokens, wanted.max_s))
        self._control.can_conclude = True
        departure = self._decode_reasoning(wanted, room)
        self._control.can_conclude = False
        if departure is not None:
            self._conclude(*departure)

    def _decode_reasoning(self, wanted: ThinkingBudget, room: int) -> tuple[Finish, str] | None:
        """Returns: why the reasoning must be concluded now; None when the model is done."""
        budget = Budget(wanted)
        started = time.perf_counter()
        with closing(self._engine.decode(room + self._policy.max_answer_tokens)) as pieces:
            for piece in self._clock.time(pieces):
                if piece.is_eog:
                    return None
                delta = self._read(piece)
                if self._transcript.in_answer:
                    self._answer_tokens += 1
                    if self._is_answer_over(delta):
                        return None
                    continue
                self._reasoning_tokens += 1
                departure = self._departure(budget, time.perf_counter() - started, room, delta)
                if departure is not None:
                    return departure
        return None if self._transcript.in_answer else _out_of_room(room)

    def _departure(
        self, budget: Budget, elapsed_s: float, room: int, delta: str
    ) -> tuple[Finish, str] | None:
        """Ask each policy whether the reasoning may go on after this token."""
        if self._control.conclude_requested:
            return Finish.INTERRUPTED, "interrupted; asking for the answer now (Ctrl-C again stops)"
        loop = self._loops.feed(delta)
        if loop is not None:
            return Finish.LOOP, (
                f"the model is going round in circles ({_quote(loop.sample)}, {loop.repeats} "
                "times); asking for the answer now"
            )
        drift = self._drift.feed(delta)
        if drift is not None:
            other = "Chinese" if self._language == "en" else "English"
            self.notice(
                "language-drift",
                f"the reasoning slips into {other} ({_quote(drift.sample)}); "
                "read it with more care than usual",
            )
        is_complete = not self._utf8.getstate()[0]
        state = budget.update(self._reasoning_tokens, elapsed_s, self._transcript.tail, is_complete)
        if state is BudgetState.FORCE:
            if budget.used_up == "time":
                return Finish.DEADLINE, "the time for thinking is up; asking for the answer now"
            return Finish.BUDGET, (
                f"the thinking budget of {self._policy.budget.max_tokens} tokens is used up; "
                "asking for the answer now"
            )
        return _out_of_room(room) if self._reasoning_tokens >= room else None

    def _conclude(self, finish: Finish, message: str) -> None:
        """Put the model's own boundary after its reasoning and let it answer."""
        self._finish = finish
        self._untold += self._transcript.feed(self._utf8.decode(b"", final=True))
        conclusion = self._transcript.conclusion(self._language)
        if conclusion is None:
            return  # the last character completed the model's own boundary
        self._tell_text()
        self._notices.append(Notice(finish.value, message))
        self._tell(Forced(finish, message, conclusion.text.strip()))
        self._engine.append(conclusion.text, parse_special=conclusion.parse_special)
        self._untold += self._transcript.feed(conclusion.text)
        self._answer()

    # answering

    def _answer(self) -> None:
        """Decode the answer after a boundary that is already in the KV cache."""
        self._loops = LoopDetector()
        with closing(self._engine.decode(self._policy.max_answer_tokens)) as pieces:
            for piece in self._clock.time(pieces):
                if piece.is_eog:
                    return
                self._answer_tokens += 1
                if self._is_answer_over(self._read(piece)):
                    return

    def _is_answer_over(self, delta: str) -> bool:
        """Whether the answer must end here though the model would go on."""
        if self._loops.feed(delta) is not None:
            self.notice("answer-loop", "the answer was repeating itself and has been cut")
            return True
        if self._answer_tokens >= self._policy.max_answer_tokens:
            self.notice(
                "answer-cut",
                f"the answer has been cut at {self._answer_tokens} tokens; --max-answer allows "
                "more",
            )
            if self._finish is Finish.CONCLUDED:
                self._finish = Finish.LENGTH
            return True
        return False

    # text

    def _read(self, piece: Piece) -> str:
        """Take a token's bytes. Returns: the text they completed."""
        delta = self._utf8.decode(piece.data)
        self._untold += self._transcript.feed(delta)
        if self._untold and not piece.has_next:
            self._tell_text()
        return delta

    def _tell_text(self) -> None:
        """Tell the text that has come together since the last time, in one event a channel."""
        for channel, group in groupby(self._untold, key=lambda stretch: stretch.channel):
            text = "".join(stretch.text for stretch in group)
            if channel == "reasoning":
                self._tell(ReasoningDelta(text, self._reasoning_tokens))
            else:
                self._tell(AnswerDelta(text, self._answer_tokens))
        self._untold = []

    def _record(self, about: About, load_s: float, prefilled: Prefilled) -> Record:
        from qvq_cli.reasoning.answer import extract_answer  # its patterns take 40 ms to compile

        transcript = self._transcript
        now = time.perf_counter()
        return Record(
            question=self._problem.question,
            system=self._problem.system,
            answer=extract_answer(transcript.answer, transcript.reasoning, self._problem.dialect),
            answer_text=transcript.answer.strip(),
            reasoning=transcript.reasoning.strip(),
            finish=self._finish,
            usage=Usage(
                image_tokens=sum(prefilled.image_tokens),
                prompt_tokens=prefilled.n_tokens,
                reasoning_tokens=self._reasoning_tokens,
                answer_tokens=self._answer_tokens,
                cached_tokens=prefilled.cached_tokens,
                cached_images=prefilled.cached_images,
            ),
            timings=Timings(
                load_s=load_s + prefilled.load_s,
                image_s=prefilled.image_s,
                prefill_s=prefilled.prefill_s,
                ttft_s=(self._clock.first_s or now) - about.started_s,
                decode_tps=self._clock.tps,
                total_s=now - about.started_s,
            ),
            model=about.model,
            sampling=self._policy.sampling,
            images=about.images,
            notices=tuple(self._notices),
        )


class _DecodeClock:
    """Times tokens. The first of a stretch costs no decode, so only those after it are counted."""

    def __init__(self) -> None:
        self.first_s: float | None = None
        self._n = 0
        self._elapsed_s = 0.0

    def time(self, pieces: Iterable[Piece]) -> Iterable[Piece]:
        """Pass pieces through, noting when they came."""
        first: float | None = None
        for piece in pieces:
            now = time.perf_counter()
            if first is None:
                first = before = now
                if self.first_s is None:
                    self.first_s = now
            else:
                self._n += 1
                self._elapsed_s += now - before
                before = now
            yield piece

    @property
    def tps(self) -> float:
        return self._n / self._elapsed_s if self._elapsed_s else 0.0


def _out_of_room(room: int) -> tuple[Finish, str]:
    return Finish.LENGTH, (
        f"the {room} tokens of room for thinking are used up; asking for the answer now"
    )


def _quote(sample: str) -> str:
    line = " ".join(sample.split())
    return repr(line if len(line) <= 60 else line[:57] + "...")
