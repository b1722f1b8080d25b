"""The recipe of nano: draws problems, trains a small model of QVQ's architecture, exports and
evaluates it."""
