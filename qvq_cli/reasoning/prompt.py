"""The prompt as the model was trained on it: ChatML, pictures first, then the question.

Our markup is parsed for special tokens; what a person wrote never is, so no question can close its
own turn or smuggle in a picture. llama.cpp's mtmd puts `<|vision_start|>` and `<|vision_end|>`
around each bitmap.

Source: Qwen2-VL's chat template; Qwen3-VL-Thinking's opens `<think>` for the model.
"""

from collections.abc import Sequence

from qvq_cli.engine.protocol import Bitmap, PromptPart, TextPart
from qvq_cli.reasoning.tags import OPENING_TAG
from qvq_cli.reasoning.transcript import Dialect


def build_prompt(
    system: str, bitmaps: Sequence[Bitmap], question: str, dialect: Dialect
) -> tuple[PromptPart, ...]:
    """Lay out one turn, up to where the model starts to write.

    Args:
        system: "" for no system turn.
    """
    user_turn = "<|im_start|>user\n"
    parts: list[PromptPart]
    if system:
        parts = [
            TextPart("<|im_start|>system\n", parse_special=True),
            TextPart(system, parse_special=False),
            TextPart("<|im_end|>\n" + user_turn, parse_special=True),
        ]
    else:
        parts = [TextPart(user_turn, parse_special=True)]
    parts += bitmaps
    if question:
        parts.append(TextPart(question, parse_special=False))
    opening = OPENING_TAG + "\n" if dialect is Dialect.THINK_TAGS else ""
    closing = "<|im_end|>\n<|im_start|>assistant\n" + opening
    return (*parts, TextPart(closing, parse_special=True))
