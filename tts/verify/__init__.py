"""Checkers (they see targets and grade answers) and verifiers (they score candidates without the target)."""

from tts.verify.pair import read_pair

__all__ = ["read_pair"]
