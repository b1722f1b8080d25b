"""Pulls killed at random moments; torture_pull.py does two hundred of them."""

from torture_pull import torture


def test_no_kill_breaks_anything_or_costs_more_than_a_piece() -> None:
    outcomes = torture(n_pulls=8, seed=0)
    assert sum(outcome.n_kills for outcome in outcomes) >= 12
