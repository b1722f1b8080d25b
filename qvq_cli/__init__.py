"""Solve visual problems on your own machine with QVQ-72B-Preview through llama.cpp."""

__version__ = "0.1.0"
