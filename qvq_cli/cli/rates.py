"""How fast this machine is, in numbers that hold for a larger model: from one, or from products."""

from statistics import median

from qvq_cli.cli.measuring import BATCHES, Measured
from qvq_cli.engine.draft_gain import draft_gain
from qvq_cli.engine.matmul import Matmul
from qvq_cli.engine.process import WorkerEngine
from qvq_cli.engine.protocol import N_UBATCH
from qvq_cli.hub.catalog import Shape
from qvq_cli.hub.forecast import Rates, bytes_per_token, text_flop, vision_flop
from qvq_cli.hub.plan import ModelSizes

_PATCHES = 1024
_PASSES = 3


def rates_of_model(measured: Measured, sizes: ModelSizes) -> Rates | None:
    """What a measured model achieved; None where measuring was broken off too early."""
    token_s = measured.token_s
    if measured.image_s is None or measured.prefill_s is None or token_s is None:
        return None
    image_flop = vision_flop(sizes.vision, measured.image_tokens)
    prompt_flop = text_flop(sizes.text, measured.prompt_tokens)
    batch_s = {size: runs.median for size, runs in measured.batch_s.items()}
    return Rates(
        bytes_per_s=bytes_per_token(sizes) / token_s,
        text_flop_per_s=prompt_flop / measured.prefill_s.median,
        vision_flop_per_s=image_flop / measured.image_s.median,
        draft_gain=draft_gain(batch_s).gain,
    )


def rates_of_products(engine: WorkerEngine, shape: Shape, *, device: str, n_threads: int) -> Rates:
    """What a device achieves on matrices of a model that isn't here: of those that are read token
    by token the widest, which no cache holds.

    Q4_K stands for its weights, f16 for its mmproj's, as they are usually published. What the
    program does beside such products is left out, so this is the best that can be expected.
    Raises: UnavailableError, DoesNotFitError: as engine.time_matmul.
    """

    def seconds(matmul: Matmul) -> float:
        times = engine.time_matmul(matmul, device=device, n_threads=n_threads, n_passes=_PASSES)
        return median(times)

    text, vision = shape.text, shape.vision
    batches = {size: Matmul("q4_K", text.n_embd, text.n_ff, size) for size in BATCHES}
    batch_s = {size: seconds(matmul) for size, matmul in batches.items()}
    prompt = Matmul("q4_K", text.n_embd, text.n_embd, N_UBATCH)
    picture = Matmul("f16", vision.n_embd, vision.n_ff, _PATCHES)
    return Rates(
        bytes_per_s=batches[1].weight_bytes / batch_s[1],
        text_flop_per_s=prompt.flop / seconds(prompt),
        vision_flop_per_s=picture.flop / seconds(picture),
        draft_gain=draft_gain(batch_s).gain,
    )
