"""Several chains at once: driven round by round on one engine until their vote is decided.

The engine decodes all chains in one batch. It is interrupted only where a chain needs something of
its own: a conclusion (budget, loop, Ctrl-C) or an end that the model doesn't know of. A chain that
ends by itself just leaves; when the vote is decided the rest is cut. All of that depends on rounds
and not on clocks, so a seed decides everything (but for a limit in seconds, and Ctrl-C).
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing

from qvq_cli.engine.protocol import Engine, Round, chain_seed
from qvq_cli.reasoning.ballot import Ballot
from qvq_cli.reasoning.boundary import Conclusion
from qvq_cli.reasoning.chain import Chain, Decode
from qvq_cli.reasoning.control import Control
from qvq_cli.reasoning.events import Answer, ChainRecord, Event, Voted, Votes
from qvq_cli.reasoning.transcript import Dialect

Watch = Callable[[Iterable[Round]], Iterable[Round]]
"""Passes rounds through, and may note when they came."""


class Voter:
    """Runs the chains of one prompt, which the engine must have read.

    Args:
        chains: each with the Control of the same place in `controls`.
        control: what is said to the run, passed on to all of them.
        dialect: what the chains' answers are to be found in.
        watch: sees every round.
    """

    def __init__(
        self,
        engine: Engine,
        chains: Sequence[Chain],
        controls: Sequence[Control],
        control: Control,
        dialect: Dialect,
        tell: Callable[[Event], None],
        watch: Watch,
    ) -> None:
        self._engine = engine
        self._chains = chains
        self._controls = controls
        self._control = control
        self._dialect = dialect
        self._tell = tell
        self._watch = watch
        self._ballot = Ballot(len(chains))
        self._answers: dict[int, Answer | None] = {}
        self._share_control()

    def run(self) -> None:
        """Go on until the vote is decided, and cut the rest."""
        while not self._ballot.is_decided:
            going = [i for i, chain in enumerate(self._chains) if chain.step is not None]
            self._decode(going, self._prepare(going))
            self._share_control()
        for i, chain in enumerate(self._chains):
            if i not in self._answers:
                chain.cut()
        self._share_control()

    def votes(self, seed: int) -> Votes:
        """The outcome. Args: seed: the run's."""
        return Votes(
            winner=self._ballot.winner,
            agreed=self._ballot.agreed,
            n_finished=len(self._answers),
            counts=self._ballot.counts,
            chains=tuple(self._record(i, chain_seed(seed, i)) for i in range(len(self._chains))),
        )

    def _prepare(self, going: Sequence[int]) -> int:
        """Append the conclusions that are due.

        Returns: rounds until a chain needs another step at the latest.
        """
        n_rounds = []
        for i in going:
            step = self._chains[i].step
            if isinstance(step, Conclusion):
                self._engine.append(step.text, parse_special=step.parse_special, chain=i)
                self._chains[i].appended(step)
                step = self._chains[i].step
            assert isinstance(step, Decode)  # votes take no second look
            n_rounds.append(step.n_max)
        return min(n_rounds)

    def _decode(self, going: list[int], n_rounds: int) -> None:
        """Feed rounds to the chains until one of them needs a step of its own."""
        n = 0
        with closing(self._engine.decode_chains(going, n_rounds)) as rounds:
            for said in self._watch(rounds):
                n += 1
                if self._feed(said, going) or self._ballot.is_decided:
                    return
        if n < n_rounds:
            for i in list(going):
                self._out_of_cells(i, going)

    def _feed(self, said: Round, going: list[int]) -> bool:
        """Give each chain its token. Returns: whether one of them needs another step."""
        self._share_control()
        is_needed = False
        for i, piece in said:
            if self._chains[i].feed(piece):
                continue
            # The engine knows of an end that the model said, and of no other.
            is_needed |= not piece.is_eog
            if self._chains[i].step is None:
                self._end(i, going)
        spoke = {i for i, _ in said}
        for i in [i for i in going if i not in spoke]:
            self._out_of_cells(i, going)
            is_needed = True
        return is_needed

    def _out_of_cells(self, i: int, going: list[int]) -> None:
        self._chains[i].out_of_cells()
        if self._chains[i].step is None:
            self._end(i, going)

    def _end(self, i: int, going: list[int]) -> None:
        """Count the vote of a chain that is over."""
        from qvq_cli.reasoning.answer import extract_answer  # its patterns take 40 ms to compile

        going.remove(i)
        transcript = self._chains[i].transcript
        answer = extract_answer(transcript.answer, transcript.reasoning, self._dialect)
        self._answers[i] = answer
        self._ballot.cast(i, answer)
        self._tell(
            Voted(
                chain=i,
                answer=None if answer is None else answer.text,
                n_finished=len(self._answers),
                n_chains=len(self._chains),
                counts=self._ballot.counts,
                is_decided=self._ballot.is_decided,
            )
        )

    def _share_control(self) -> None:
        """One Ctrl-C concludes all chains; it can as long as one of them is still reasoning."""
        for control in self._controls:
            control.conclude_requested = self._control.conclude_requested
        self._control.can_conclude = any(control.can_conclude for control in self._controls)

    def _record(self, i: int, seed: int) -> ChainRecord:
        chain = self._chains[i]
        return ChainRecord(
            seed=seed,
            answer=self._answers.get(i),
            answer_text=chain.transcript.answer.strip(),
            reasoning=chain.transcript.reasoning.strip(),
            finish=chain.finish,
            reasoning_tokens=chain.reasoning_tokens,
            answer_tokens=chain.answer_tokens,
        )
