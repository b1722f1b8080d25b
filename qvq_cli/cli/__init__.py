"""The command line: parse, call, hand events to ui."""
