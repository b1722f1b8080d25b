"""Drafters that draft whether it pays or not, so that tests see drafts on any machine."""

from qvq_cli.engine.drafts import Drafter, Place


class RestlessDrafter(Drafter):
    """Looks for a draft before every pass, whatever that costs."""

    def take_rest(self, n_max: int) -> int:  # noqa: ARG002
        return 0


class RecallingDrafter(RestlessDrafter):
    """Drafts wherever an earlier run has been before, n_most tokens at most."""

    n_most = 6

    def propose(self, n_max: int) -> list[int]:
        if self._past is None or n_max < 1:
            return []
        at, match = self._past.find(self.index.tokens)
        if match == 0:
            return []
        self._place = Place("past", at, match)
        return self._draft(self._place, min(n_max, self.n_most, self._past.n_left(at)))


class EagerDrafter(RestlessDrafter):
    """Drafts wherever the text has been before."""

    def propose(self, n_max: int) -> list[int]:
        at, match = self.index.find()
        if match == 0 or n_max < 1:
            return []
        self._place = Place("text", at, match)
        return self._behind(at, min(n_max, 6))
