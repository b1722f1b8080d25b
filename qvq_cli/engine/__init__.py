"""Tokens and pictures in, tokens out; knows nothing of reasoning, terminals or downloads."""
