"""One run: prompt in, reasoning and answer out, whatever the model does.

    load -> prefill -> the chain's steps: decode, look, append -> record

What to do after each token is the chain's to say; this module has the engine do it. Room for the
answer is part of the context from the start, so every run that thinks can also answer.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from qvq_cli.engine.protocol import (
    Bitmap,
    DraftCounts,
    Engine,
    LoadSpec,
    Piece,
    Prefilled,
    Round,
    Stage,
)
from qvq_cli.errors import QvqError
from qvq_cli.reasoning.boundary import Conclusion
from qvq_cli.reasoning.chain import Chain, Decode
from qvq_cli.reasoning.control import Control
from qvq_cli.reasoning.events import (
    ChainEvent,
    CutOff,
    Event,
    Finish,
    ImageUsed,
    InChain,
    ModelUsed,
    Notice,
    Progress,
    Record,
    Solved,
    Timings,
    Usage,
    Votes,
)
from qvq_cli.reasoning.language import question_language
from qvq_cli.reasoning.look_again import Look
from qvq_cli.reasoning.policy import Policy
from qvq_cli.reasoning.prompt import build_prompt
from qvq_cli.reasoning.transcript import Dialect

if TYPE_CHECKING:
    from qvq_cli.reasoning.votes import Voter

Item = TypeVar("Item")


class Problem(NamedTuple):
    """What is asked, and how the model likes to be asked."""

    question: str
    system: str
    bitmaps: tuple[Bitmap, ...]
    dialect: Dialect


class About(NamedTuple):
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
        self._chains: list[Chain] = []
        self._voter: Voter | None = None

    def solve(self, spec: LoadSpec, problem: Problem, about: About) -> Record:
        """Load the model and run the problem; once for each Solver.

        Raises: whatever the engine raises, after telling what was said until then. A run that only
        fails to reach an answer is no error: its Record has answer None.
        """
        info = self._engine.load(spec, self._progress)
        prefilled = self._prefill(problem)
        make_record = partial(self._record, problem, about, info.load_s, prefilled)
        try:
            chain, votes = self._drive(problem, prefilled)
            record = make_record(chain, votes, self._engine.draft_counts())
        except BaseException as error:  # whatever it was, what has been said is worth keeping
            if self._chains:
                self._tell(CutOff(self._cut_off(error, make_record)))
            raise
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
            parts,
            self._policy.reserve,
            self._policy.sampling,
            self._progress,
            keep_pictures=self._policy.looks is not None,
        )

    def _make_chain(
        self,
        problem: Problem,
        prefilled: Prefilled,
        control: Control,
        tell: Callable[[ChainEvent], None],
    ) -> Chain:
        chain = Chain(
            problem.dialect,
            question_language(problem.question),
            self._policy,
            prefilled.n_ctx - prefilled.n_tokens - self._policy.reserve.n_min,
            control,
            tell,
            self._expected_look_s(prefilled),
        )
        self._chains.append(chain)
        return chain

    def _vote(self, problem: Problem, prefilled: Prefilled) -> tuple[Chain, Votes]:
        """Run all chains. Returns: the one that stands for the run, the first where none won."""
        from qvq_cli.reasoning.votes import Voter  # how answers are told apart takes 20 ms to read

        controls = [Control() for _ in range(self._policy.n_chains)]
        chains = [
            self._make_chain(problem, prefilled, control, self._tell_of(i))
            for i, control in enumerate(controls)
        ]

        def watch(rounds: Iterable[Round]) -> Iterable[Round]:
            return self._clock.time(rounds, len)

        self._voter = voter = Voter(
            self._engine, chains, controls, self._control, problem.dialect, self._tell, watch
        )
        voter.run()
        votes = voter.votes(self._policy.sampling.seed)
        n_cut = len(chains) - votes.n_finished
        if n_cut:
            who = "the last chain" if n_cut == 1 else f"the last {n_cut} chains"
            self.notice("votes-decided", f"the vote is decided: {who} could not change it")
        return chains[votes.winner or 0], votes

    def _drive(self, problem: Problem, prefilled: Prefilled) -> tuple[Chain, Votes | None]:
        """Run one chain, or several that vote. Returns: the one that stands for the run."""
        if self._policy.n_chains > 1:
            return self._vote(problem, prefilled)
        chain = self._make_chain(problem, prefilled, self._control, self._tell)
        self._run(chain)
        return chain, None

    def _cut_off(
        self,
        error: BaseException,
        make_record: Callable[[Chain, Votes | None, DraftCounts], Record],
    ) -> Record:
        """What was said until an error came: half an answer is none, but half a vote is told."""
        for chain in self._chains:
            chain.cut_off()
        if isinstance(error, QvqError):
            self._notices.append(Notice(error.reference, error.message))
        votes = None if self._voter is None else self._voter.votes(self._policy.sampling.seed)
        chain = self._chains[0 if votes is None else votes.winner or 0]
        # The engine that knows the drafts may be gone.
        record = make_record(chain, votes, DraftCounts(0, 0))
        return record._replace(answer=None, finish=Finish.ABORTED)

    def _tell_of(self, chain: int) -> Callable[[ChainEvent], None]:
        """A way to tell what happens in one of several chains."""
        return lambda event: self._tell(InChain(chain, event))

    def _expected_look_s(self, prefilled: Prefilled) -> float:
        """A look is prefill: as long for each cell as the prompt took."""
        n_cells = self._policy.looks.n_cells if self._policy.looks else 0
        return prefilled.prefill_s * n_cells / max(prefilled.n_tokens, 1)

    def _run(self, chain: Chain) -> None:
        """Do what the chain asks for until it asks for nothing more."""
        while (step := chain.step) is not None:
            match step:
                case Decode():
                    self._decode(chain, step.n_max)
                case Look():
                    began_s = time.perf_counter()
                    n_cells = self._engine.look_again(step.before, step.after)
                    chain.looked(step, n_cells, time.perf_counter() - began_s)
                case Conclusion():
                    self._engine.append(step.text, parse_special=step.parse_special)
                    chain.appended(step)

    def _decode(self, chain: Chain, n_max: int) -> None:
        n = 0
        with closing(self._engine.decode(n_max)) as pieces:
            for piece in self._clock.time(pieces, _one):
                n += 1
                if not chain.feed(piece):
                    return
        if n < n_max:
            chain.out_of_cells()

    def _record(
        self,
        problem: Problem,
        about: About,
        load_s: float,
        prefilled: Prefilled,
        chain: Chain,
        votes: Votes | None,
        drafts: DraftCounts,
    ) -> Record:
        from qvq_cli.reasoning.answer import extract_answer  # its patterns take 40 ms to compile

        transcript = chain.transcript
        now = time.perf_counter()
        return Record(
            question=problem.question,
            system=problem.system,
            answer=extract_answer(transcript.answer, transcript.reasoning, problem.dialect),
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
                looks=chain.n_looks,
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
            notices=(*self._notices, *chain.notices),
            votes=votes,
        )


def _one(_: Piece) -> int:
    return 1


class _DecodeClock:
    """Times tokens. The first of a stretch costs no decode, so only those after it are counted."""

    def __init__(self) -> None:
        self.first_s: float | None = None
        self._n = 0
        self._elapsed_s = 0.0

    def time(self, items: Iterable[Item], n_tokens: Callable[[Item], int]) -> Iterable[Item]:
        """Pass items of n_tokens each through, noting when they came."""
        first: float | None = None
        for item in items:
            now = time.perf_counter()
            if first is None:
                first = before = now
                if self.first_s is None:
                    self.first_s = now
            else:
                self._n += n_tokens(item)
                self._elapsed_s += now - before
                before = now
            yield item

    @property
    def tps(self) -> float:
        return self._n / self._elapsed_s if self._elapsed_s else 0.0
