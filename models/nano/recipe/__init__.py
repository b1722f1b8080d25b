"""The recipe of nano: draws problems, trains a small model of QVQ's shape, exports, evaluates."""
