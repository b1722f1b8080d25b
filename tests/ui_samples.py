"""One event of each kind and a record, for the tests of everything that shows them."""

from qvq_cli.engine.protocol import Sampling
from qvq_cli.reasoning.events import (
    Answer,
    AnswerDelta,
    ChainRecord,
    Count,
    Event,
    Finish,
    Forced,
    ImageReady,
    ImageUsed,
    LookedAgain,
    ModelUsed,
    Notice,
    Progress,
    ReasoningDelta,
    ReasoningStarted,
    Record,
    Solved,
    Timings,
    Usage,
    Votes,
)

NOTICE = Notice("nano-used", "using the embedded nano")
IMAGE = ImageUsed("diagram.png", "ab" * 32, 640, 480, 644, 476, 391)
RECORD = Record(
    question="find h'(2)",
    system="Think step-by-step.",
    answer=Answer(r"\frac{1}{5}", (r"\frac{1}{5}",), "boxed"),
    answer_text=r"$$ \boxed{\frac{1}{5}} $$",
    reasoning="So h = f*g.",
    finish=Finish.CONCLUDED,
    usage=Usage(391, 420, 30, 4),
    timings=Timings(total_s=3.25, decode_tps=12.34),
    model=ModelUsed("QVQ-72B-Preview", "Q4_K_M", (("qvq.gguf", "cd" * 32), ("mmproj.gguf", None))),
    sampling=Sampling(),
    images=(IMAGE,),
    notices=(NOTICE,),
)
_CHAIN = ChainRecord(
    7, RECORD.answer, RECORD.answer_text, RECORD.reasoning, Finish.CONCLUDED, 30, 4
)
VOTED_RECORD = RECORD._replace(
    votes=Votes(
        winner=0,
        agreed=2,
        n_finished=3,
        counts=(Count(r"\frac{1}{5}", 2),),
        chains=(
            _CHAIN,
            _CHAIN._replace(seed=8, answer=None, answer_text="", finish=Finish.LOOP),
            _CHAIN._replace(seed=9, finish=Finish.BUDGET),
            _CHAIN._replace(seed=10, answer=None, answer_text="", finish=Finish.CUT),
        ),
    ),
)
UNANSWERED = RECORD._replace(answer=None, answer_text="", finish=Finish.LENGTH)

EVENTS: dict[str, Event] = {
    "notice": NOTICE,
    "progress": Progress("load", 0.5),
    "image": ImageReady(IMAGE),
    "started": ReasoningStarted(2048, None),
    "reasoning": ReasoningDelta("So h = f*g.", 5),
    "answer": AnswerDelta("$$", 1),
    "looked": LookedAgain(1, 214, 162, 1.2),
    "forced": Forced(Finish.BUDGET, "Thinking budget used up.", "\n\n**Final Answer**\n\n"),
    "solved": Solved(RECORD),
    "unanswered": Solved(UNANSWERED),
}
