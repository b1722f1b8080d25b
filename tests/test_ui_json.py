"""The JSON contract: keys, values and what must never break a reader."""

import io
import json

import pytest

from qvq_cli import __version__
from qvq_cli.engine.protocol import Sampling
from qvq_cli.reasoning.events import Progress, Solved, Timings
from qvq_cli.ui.json import JsonLinesSink, JsonSink, dump, result_object
from qvq_cli.ui.streams import Environment
from ui_samples import RECORD, UNANSWERED, VOTED_RECORD

RESULT_KEYS = {
    "schema": None,
    "version": None,
    "question": None,
    "system": None,
    "answer": None,
    "answer_parts": None,
    "answer_source": None,
    "answer_text": None,
    "reasoning": None,
    "finish": None,
    "usage": "image_tokens prompt_tokens reasoning_tokens answer_tokens drafted accepted looks "
    "cached_tokens cached_images",
    "timings": "load_s image_s prefill_s ttft_s decode_tps total_s",
    "model": "name quant files draft",
    "sampling": "temperature top_p top_k min_p repeat_penalty seed",
    "images": None,
    "notices": None,
    "votes": None,
}


def test_keys_of_the_result() -> None:
    result = result_object(RECORD)
    assert result.keys() == RESULT_KEYS.keys()
    for key, inner in RESULT_KEYS.items():
        if inner is not None:
            assert list(result[key]) == inner.split(), key


def test_values_of_the_result() -> None:
    result = json.loads(dump(result_object(RECORD)))
    assert result["schema"] == 1
    assert result["version"] == __version__
    assert result["finish"] == "concluded"
    assert result["answer_parts"] == [r"\frac{1}{5}"]
    assert result["model"]["files"][1] == {"name": "mmproj.gguf", "sha256": None}
    assert result["images"][0]["used_width_px"] == 644
    assert result["notices"] == [{"reference": "nano-used", "message": "using the embedded nano"}]
    assert result["sampling"]["repeat_penalty"] == Sampling().repeat_penalty


def test_no_answer_is_null_with_the_same_keys() -> None:
    result = result_object(UNANSWERED)
    assert result.keys() == RESULT_KEYS.keys()
    assert (result["answer"], result["answer_parts"], result["answer_source"]) == (None, [], None)


def test_progress_comes_in_steps() -> None:
    stdout = io.StringIO()
    sink = JsonLinesSink(Environment.of(None, stdout, None, {}), None)
    for i in range(1001):
        sink.handle(Progress("load", i / 1000 / 1.0000001))
    for share in (1.0, 1.0):
        sink.handle(Progress("load", share))
    sink.handle(Progress("image", 1 / 3))
    lines = [json.loads(line) for line in stdout.getvalue().splitlines()]
    load = [line["share"] for line in lines if line["stage"] == "load"]
    assert load[0] == 0.0 and load[-1] == 1.0
    assert len(load) <= 22
    assert lines[-1]["share"] == 0.3333


def test_votes() -> None:
    assert result_object(RECORD)["votes"] is None
    votes = result_object(VOTED_RECORD)["votes"]
    keys = "n_chains n_finished agreed agreement winner counts chains"
    assert list(votes) == keys.split()
    keys = "chain seed answer answer_text reasoning finish reasoning_tokens answer_tokens"
    assert [list(chain) for chain in votes["chains"]] == [keys.split()] * 4
    assert (votes["n_chains"], votes["n_finished"], votes["agreed"]) == (4, 3, 2)
    assert votes["agreement"] == 0.6667
    assert votes["counts"] == [{"answer": r"\frac{1}{5}", "n": 2}]
    assert [chain["finish"] for chain in votes["chains"]] == ["concluded", "loop", "budget", "cut"]
    assert [chain["answer"] for chain in votes["chains"]][1::2] == [None, None]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
def test_any_text_survives_any_encoding(encoding: str) -> None:
    """\\x1b and 题 come back as they were; what JSON can't hold is replaced, never raised."""
    record = RECORD._replace(
        reasoning='\x1b[31m "题" 👍 \udce9\n',
        timings=Timings(decode_tps=float("inf"), total_s=float("nan")),
    )
    raw = io.BytesIO()
    stdout = io.TextIOWrapper(raw, encoding=encoding)
    JsonSink(Environment.of(None, stdout, None, {}), None).handle(Solved(record))
    (line,) = raw.getvalue().decode(encoding).splitlines()
    result = json.loads(line)
    assert result["reasoning"] == '\x1b[31m "题" 👍 \ufffd\n'
    assert result["timings"]["decode_tps"] is None
    assert ("题" in line) == (encoding == "utf-8")
