"""Across all networks of the book: what they read, and how well they generalise (N1).

Nothing is trained here. Networks and numbers are those of the other rooms.
"""

from hfc.study.biases.show import biases_and_accuracy
from hfc.study.biases.table import networks

__all__ = ["biases_and_accuracy", "networks"]
