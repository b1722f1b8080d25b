"""`qvq bench --json`: every figure in seconds, bytes and tokens; null where it isn't known."""

from dataclasses import asdict
from typing import Any

from qvq_cli.cli.bench_outcome import Outcome
from qvq_cli.cli.measuring import Runs
from qvq_cli.hub.forecast import ANSWER_TOKENS, Forecast


def bench_body(outcome: Outcome) -> dict[str, Any]:
    choice, plan = outcome.choice, outcome.plan
    return {
        "model": {
            "name": choice.name,
            "quant": choice.quant,
            "weight_bytes": plan.memory.weight_bytes,
            "mmproj_bytes": plan.memory.mmproj_bytes,
            "is_telling": outcome.is_telling,
        },
        "machine": {
            "n_threads": outcome.n_threads,
            "n_threads_batch": outcome.n_threads_batch,
            "n_gpu_layers": plan.offload.n_gpu_layers,
            "devices": [use.name for use in plan.devices],
            "memory_bytes_per_s": outcome.bandwidth,
        },
        "interrupted": outcome.is_interrupted,
        "noisy": outcome.is_noisy,
        **_measured(outcome),
        "predictions": _predictions(outcome),
    }


def _measured(outcome: Outcome) -> dict[str, Any]:
    measured, drafts = outcome.measured, outcome.drafts
    image_s, prefill_s = measured.image_s, measured.prefill_s
    picture = prefill = decode = None
    if image_s is not None and prefill_s is not None:
        picture = {"image_tokens": measured.image_tokens, **_seconds(image_s)}
        prefill = {
            "prompt_tokens": measured.prompt_tokens,
            "tokens_per_s": measured.prompt_tokens / prefill_s.median,
            **_seconds(prefill_s),
        }
    if (tps := measured.decode_tps) is not None:
        decode = {"depth": measured.n_depth, "tokens_per_s": tps.median, **_scatter(tps)}
    return {
        "load": {"seconds": measured.load_s, "disk_bytes_per_s": measured.disk_bytes_per_s},
        "picture": picture,
        "prefill": prefill,
        "decode": decode,
        "weight_bytes_per_s": outcome.weights_per_s,
        "batches": [
            {
                "tokens": size,
                "cost": runs.median / measured.batch_s[1].median,
                "tokens_per_s": size / runs.median,
                **_seconds(runs),
            }
            for size, runs in measured.batch_s.items()
        ],
        "drafts": None if drafts is None else drafts._asdict(),
    }


def _seconds(runs: Runs) -> dict[str, Any]:
    return {"seconds": runs.median, **_scatter(runs)}


def _scatter(runs: Runs) -> dict[str, Any]:
    return {"spread": runs.spread, "runs": len(runs.values)}


def _predictions(outcome: Outcome) -> dict[str, Any]:
    forecasts = outcome.forecasts
    return {
        "model": forecasts.entry.name,
        "answer_tokens": ANSWER_TOKENS,
        "rates": {
            place: {"source": "model" if place in forecasts.of_model else "products"}
            | asdict(rates)
            for place, rates in forecasts.rates.items()
        },
        "quants": [_forecast(each) for each in forecasts.quants],
    }


def _forecast(each: Forecast) -> dict[str, Any]:
    return {
        "quant": each.quant,
        "bytes": each.n_bytes,
        "memory_bytes": each.needed_bytes,
        "fits": each.fits,
        "load_s": each.load_s,
        "image_s": each.image_s,
        "prefill_s": each.prefill_s,
        "tokens_per_s": each.decode_tps,
        "draft_gain": each.draft_gain,
        "minutes": _minutes(each.total_s),
        "minutes_with_drafts": _minutes(each.total_with_drafts_s),
    }


def _minutes(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / 60
