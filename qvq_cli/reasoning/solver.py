"""One run: prompt in, reasoning and answer out, whatever the model does.

    load -> prefill -> the chain's steps: decode, append -> record

What to do after each token is the chain's to say; this module has the engine do it. Room for the
answer is part of the context from the start, so every run that thinks can also answer.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass

from qvq_cli.engine.protocol import Bitmap, DraftCounts, Engine, LoadSpec, Piece, Prefilled, Stage
from qvq_cli.errors import QvqError
from qvq_cli.reasoning.chain import Chain, Decode, Policy
from qvq_cli.reasoning.control import Control
from qvq_cli.reasoning.events import (
    CutOff,
    Event,
    Finish,
    ImageUsed,
    ModelUsed,
    Notice,
    Progress,
    Record,
    Solved,
    Timings,
    Usage,
)
from qvq_cli.reasoning.language import question_language
from qvq_cli.reasoning.prompt import build_prompt
from qvq_cli.reasoning.transcript import Dialect


@dataclass(frozen=True, slots=True)
class Problem:
    """What is asked, and how the model likes to be asked."""

    question: str
    system: str
    bitmaps: tuple[Bitmap, ...]
    dialect: Dialect


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
        self._clock = _DecodeClock()

    def solve(self, spec: LoadSpec, problem: Problem, about: About) -> Record:
        """Load the model and run the problem; once for each Solver.

        Raises: whatever the engine raises, after telling what was said until then. A run that only
        fails to reach an answer is no error: its Record has answer None.
        """
        info = self._engine.load(spec, self._progress)
        prefilled = self._prefill(problem)
        chain = Chain(
            problem.dialect,
            question_language(problem.question),
            self._policy,
            prefilled.n_ctx - prefilled.n_tokens - self._policy.reserve.n_min,
            self._control,
            self._tell,
        )
        try:
            self._run(chain)
        except BaseException as error:  # whatever it was, what has been said is worth keeping
            chain.cut_off()
            if isinstance(error, QvqError):
                self._notices.append(Notice(error.reference, error.message))
            self._tell(CutOff(self._record(problem, chain, about, info.load_s, prefilled)))
            raise
        record = self._record(problem, chain, about, info.load_s, prefilled)
        self._tell(Solved(record))
        return record

    def notice(self, reference: str, message: str) -> None:
        """Tell a person something before the reasoning starts and keep it for the record."""
        self._notices.append(Notice(reference, message))
        self._tell(self._notices[-1])

    def _progress(self, stage: Stage, share: float) -> None:
        self._tell(Progress(stage, share))

    def _prefill(self, problem: Problem) -> Prefilled:
        parts = build_prompt(problem.system, problem.bitmaps, problem.question, problem.dialect)
        return self._engine.prefill(
            parts, self._policy.reserve, self._policy.sampling, self._progress
        )

    def _run(self, chain: Chain) -> None:
        """Do what the chain asks for until it asks for nothing more."""
        while (step := chain.step) is not None:
            if isinstance(step, Decode):
                self._decode(chain, step.n_max)
            else:
                self._engine.append(step.text, parse_special=step.parse_special)
                chain.appended(step)

    def _decode(self, chain: Chain, n_max: int) -> None:
        n = 0
        with closing(self._engine.decode(n_max)) as pieces:
            for piece in self._clock.time(pieces):
                n += 1
                if not chain.feed(piece):
                    return
        if n < n_max:
            chain.out_of_cells()

    def _record(
        self, problem: Problem, chain: Chain, about: About, load_s: float, prefilled: Prefilled
    ) -> Record:
        from qvq_cli.reasoning.answer import extract_answer  # its patterns take 40 ms to compile

        transcript = chain.transcript
        if chain.finish is Finish.ABORTED:  # the engine may be gone, and half an answer is none
            answer, drafts = None, DraftCounts(0, 0)
        else:
            answer = extract_answer(transcript.answer, transcript.reasoning, problem.dialect)
            drafts = self._engine.draft_counts()
        now = time.perf_counter()
        return Record(
            question=problem.question,
            system=problem.system,
            answer=answer,
            answer_text=transcript.answer.strip(),
            reasoning=transcript.reasoning.strip(),
            finish=chain.finish,
            usage=Usage(
                image_tokens=sum(prefilled.image_tokens),
                prompt_tokens=prefilled.n_tokens,
                reasoning_tokens=chain.reasoning_tokens,
                answer_tokens=chain.answer_tokens,
                drafted=drafts.drafted,
                accepted=drafts.accepted,
            ),
            timings=Timings(
                load_s=load_s,
                image_s=prefilled.image_s,
                prefill_s=prefilled.prefill_s,
                ttft_s=(self._clock.first_s or now) - about.started_s,
                decode_tps=self._clock.tps,
                total_s=now - about.started_s,
            ),
            model=about.model,
            sampling=self._policy.sampling,
            images=about.images,
            notices=(*self._notices, *chain.notices),
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
