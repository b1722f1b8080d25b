"""One chain of reasoning and its answer: a state machine on tokens that knows no engine.

    THINKING --a look at the pictures is due--------------------> LOOKING -> THINKING
    THINKING --the model's own boundary-------------------------> ANSWERING   (concluded)
    THINKING --budget, deadline, loop, Ctrl-C, no room left-----> CONCLUDING  (that reason)
    CONCLUDING --the boundary was appended----------------------> ANSWERING
    ANSWERING --end of generation, loop, too long---------------> OVER
    any of these --cut from outside-----------------------------> OVER        (cut)
    THINKING --end of generation without a boundary-------------> OVER        (concluded)

Policies live in their own modules; this one only asks them in turn after each token. Whoever drives
a chain does what its `step` says, feeds it what came of that, and asks again.
"""

import codecs
import time
from collections.abc import Callable
from itertools import groupby
from typing import NamedTuple

from qvq_cli.engine.protocol import Piece
from qvq_cli.reasoning.boundary import Conclusion
from qvq_cli.reasoning.budget import Budget, BudgetState
from qvq_cli.reasoning.control import Control
from qvq_cli.reasoning.events import (
    AnswerDelta,
    ChainEvent,
    Finish,
    Forced,
    LookedAgain,
    Notice,
    ReasoningDelta,
    ReasoningStarted,
)
from qvq_cli.reasoning.language import DriftDetector, Language
from qvq_cli.reasoning.look_again import Look, LookAgain, Looking
from qvq_cli.reasoning.loops import LoopDetector
from qvq_cli.reasoning.policy import Policy
from qvq_cli.reasoning.transcript import Channelled, Dialect, Transcript


class Decode(NamedTuple):
    """A step: generate up to n_max tokens, feeding each, until `feed` says to stop."""

    n_max: int


Step = Decode | Look | Conclusion
"""What a chain needs next; a Look and a Conclusion are to be appended."""


class Chain:
    """Reasoning and answer of one run of the model, from just behind the prompt.

    Args:
        room: tokens that the context leaves for thinking and looking.
        tell: gets every event as it happens.
        look_s: seconds that the first look will probably take.
    """

    def __init__(
        self,
        dialect: Dialect,
        language: Language,
        policy: Policy,
        room: int,
        control: Control,
        tell: Callable[[ChainEvent], None],
        look_s: float = 0.0,
    ) -> None:
        self.transcript = Transcript(dialect)
        self.finish = Finish.CONCLUDED
        self.reasoning_tokens = 0
        self.answer_tokens = 0
        self.notices: list[Notice] = []
        self._language = language
        self._policy = policy
        self._room = room
        self._control = control
        self._tell = tell
        self._budget = Budget(policy.budget)
        self._loops = LoopDetector()
        self._drift = DriftDetector(language)
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._untold: list[Channelled] = []
        self._conclusion: Conclusion | None = None
        self._looks = (policy.looks or LookAgain(1, (), n_max=0)).within(
            room, policy.n_thinking, policy.n_looks
        )
        self._looking = Looking(self._looks)
        self._look: Look | None = None
        self._look_s = look_s
        self._is_over = False
        self._began_s = time.perf_counter()
        self._begin(dialect)

    def notice(self, reference: str, message: str) -> None:
        """Tell a person something and keep it for the record."""
        self._tell_text()
        self.notices.append(Notice(reference, message))
        self._tell(self.notices[-1])

    @property
    def n_looks(self) -> int:
        """How often the pictures were put in again."""
        return self._looking.n_looks

    # what the driver does

    @property
    def step(self) -> Step | None:
        """What is to be done next; None when the chain is over."""
        if self._is_over:
            return None
        if self._conclusion is not None:
            return self._conclusion
        if self._look is not None:
            return self._look
        n_answer = self._policy.max_answer_tokens - self.answer_tokens
        if self.transcript.in_answer:
            return Decode(n_answer)
        limits = (
            self._room - self.reasoning_tokens + n_answer,
            self._budget.most_tokens(self.reasoning_tokens),
            self._looking.most_tokens(self.reasoning_tokens),
        )
        return Decode(min(limit for limit in limits if limit is not None))

    def feed(self, piece: Piece) -> bool:
        """Take the next token. Returns: False when decoding must stop here for another step."""
        if piece.is_eog:
            self._end()
            return False
        delta = self._utf8.decode(piece.data)
        self._untold += self.transcript.feed(delta)
        in_answer = self.transcript.in_answer
        if in_answer:
            self.answer_tokens += 1
        else:
            self.reasoning_tokens += 1
        if self._untold and not piece.has_next:
            self._tell_text()
        if in_answer:
            if self._is_answer_over(delta):
                self._end()
            return not self._is_over
        departure = self._departure(delta)
        if departure is not None:
            self._conclude(*departure)
            return False
        return not self._begin_look()

    def out_of_cells(self) -> None:
        """The engine had no room for the tokens that `step` asked for."""
        if self.transcript.in_answer:
            self._end()
        else:
            self._conclude(*_out_of_room(self.reasoning_tokens))

    def cut_off(self) -> None:
        """The run can't go on: settle what was said so far, telling nobody."""
        if self._is_over:
            return
        self.finish = Finish.ABORTED
        self._control.can_conclude = False
        self._is_over = True
        self.transcript.finish()

    def appended(self, conclusion: Conclusion) -> None:
        """The conclusion is in the KV cache."""
        self._untold += self.transcript.feed(conclusion.text)
        self._conclusion = None
        self._loops = LoopDetector()

    def looked(self, look: Look, n_cells: int, look_s: float) -> None:
        """The pictures are in the KV cache again; they took n_cells cells and look_s seconds."""
        self._look = None
        self._look_s = look_s
        self._room -= n_cells
        self._looking.looked(self.reasoning_tokens)
        self._untold += self.transcript.feed(look.after)
        self._tell_text()
        self._tell(LookedAgain(self.n_looks, self.reasoning_tokens, n_cells, look_s))
        if self._control.conclude_requested:
            self._conclude(*_INTERRUPTED)

    def cut(self) -> None:
        """Nobody waits for the rest any more."""
        self._end()
        self.finish = Finish.CUT

    # thinking

    def _begin(self, dialect: Dialect) -> None:
        wanted = self._policy.budget
        if dialect is Dialect.PLAIN:
            return
        if wanted.max_tokens == 0:
            self._conclude(Finish.BUDGET, "answering at once, without thinking")
            return
        n_looks = self._looks.n_max
        if n_looks < self._policy.n_looks:
            self.notice(
                "looks-limited",
                f"this model's context has room for {n_looks} looks at the picture again, not for "
                f"{self._policy.n_looks}",
            )
        n_thinking = self._room - n_looks * self._looks.n_cells
        if wanted.max_tokens is not None and wanted.max_tokens > n_thinking:
            self.notice(
                "thinking-shortened",
                f"this model's context leaves {n_thinking} tokens for thinking, not "
                f"{wanted.max_tokens}",
            )
        self._tell(ReasoningStarted(wanted.max_tokens, wanted.max_s))
        self._control.can_conclude = True

    def _departure(self, delta: str) -> tuple[Finish, str] | None:
        """Ask each policy whether the reasoning may go on after this token."""
        if self._control.conclude_requested:
            return _INTERRUPTED
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
        state = self._budget.update(
            self.reasoning_tokens, self._elapsed_s, self.transcript.tail, self._is_character_whole
        )
        if state is BudgetState.FORCE:
            if self._budget.used_up == "time":
                return Finish.DEADLINE, "the time for thinking is up; asking for the answer now"
            return Finish.BUDGET, (
                f"the thinking budget of {self._policy.budget.max_tokens} tokens is used up; "
                "asking for the answer now"
            )
        n_tokens = self.reasoning_tokens
        return _out_of_room(n_tokens) if n_tokens >= self._room else None

    @property
    def _elapsed_s(self) -> float:
        return time.perf_counter() - self._began_s

    @property
    def _is_character_whole(self) -> bool:
        return not self._utf8.getstate()[0]

    def _begin_look(self) -> bool:
        """Whether the pictures are to be put in now; the cue is then part of the reasoning.

        Loop and drift detection read what the model says, so neither is told of the cue.
        """
        if self._policy.looks is None:
            return False
        is_whole = self._is_character_whole and not self.transcript.may_be_at_boundary
        tail = self.transcript.tail
        if not self._looking.is_fair(self.reasoning_tokens, tail, is_whole=is_whole):
            return False
        if not self._is_look_useful():
            self._looking.pass_over()
            return False
        self._look = self._looks.look(self._language, tail)
        self._untold += self.transcript.feed(self._look.before)
        self._tell_text()
        return True

    def _is_look_useful(self) -> bool:
        """Whether budget, clock and context allow it, and some thinking about what was seen."""
        budget, n_useful = self._policy.budget, self._looks.n_useful
        if budget.max_s is not None and self._elapsed_s + self._look_s >= budget.max_s:
            return False
        if budget.max_tokens is not None and budget.max_tokens - self.reasoning_tokens < n_useful:
            return False
        return self._room - self.reasoning_tokens >= self._looks.n_cells + n_useful

    def _conclude(self, finish: Finish, message: str) -> None:
        """Have the model's own boundary put after its reasoning, and let it answer."""
        self.finish = finish
        self._control.can_conclude = False
        self._untold += self.transcript.feed(self._utf8.decode(b"", final=True))
        conclusion = self.transcript.conclusion(self._language)
        if conclusion is None:
            return  # the last character completed the model's own boundary
        self._tell_text()
        self.notices.append(Notice(finish.value, message))
        self._tell(Forced(finish, message, conclusion.text.strip()))
        self._conclusion = conclusion

    # answering

    def _is_answer_over(self, delta: str) -> bool:
        """Whether the answer must end here though the model would go on."""
        if self._loops.feed(delta) is not None:
            self.notice("answer-loop", "the answer was repeating itself and has been cut")
            return True
        if self.answer_tokens >= self._policy.max_answer_tokens:
            self.notice(
                "answer-cut",
                f"the answer has been cut at {self.answer_tokens} tokens; --max-answer allows more",
            )
            if self.finish is Finish.CONCLUDED:
                self.finish = Finish.LENGTH
            return True
        return False

    def _end(self) -> None:
        self._control.can_conclude = False
        self._is_over = True
        self._untold += self.transcript.finish()
        self._tell_text()

    # text

    def _tell_text(self) -> None:
        """Tell the text that has come together since the last time, in one event a channel."""
        for channel, group in groupby(self._untold, key=lambda stretch: stretch.channel):
            text = "".join(stretch.text for stretch in group)
            if channel == "reasoning":
                self._tell(ReasoningDelta(text, self.reasoning_tokens))
            else:
                self._tell(AnswerDelta(text, self.answer_tokens))
        self._untold = []


_INTERRUPTED = (
    Finish.INTERRUPTED,
    "interrupted; asking for the answer now (Ctrl-C again stops)",
)


def _out_of_room(room: int) -> tuple[Finish, str]:
    return Finish.LENGTH, (
        f"the {room} tokens of room for thinking are used up; asking for the answer now"
    )


def _quote(sample: str) -> str:
    line = " ".join(sample.split())
    return repr(line if len(line) <= 60 else line[:57] + "...")
