"""Writes down what the engine has done."""

from bullflow.recorder.recorder import BLOCK, Lease, News, Recorder

__all__ = ["BLOCK", "Lease", "News", "Recorder"]
