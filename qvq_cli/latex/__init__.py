"""LaTeX as Unicode, for the terminal (ui) and for answers as text (reasoning); both import it."""

from qvq_cli.latex.prose import latex_to_unicode

__all__ = ["latex_to_unicode"]
