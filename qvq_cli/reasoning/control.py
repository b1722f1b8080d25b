"""What can be said to a run while it goes; light enough to be there before anything else is."""


class Control:
    """The one thing that can be said to a run from outside: conclude now.

    The chain sets can_conclude while there is reasoning to conclude; a signal handler sets
    conclude_requested.
    """

    can_conclude = False
    conclude_requested = False
