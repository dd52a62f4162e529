"""No experiment of its own: this room reads the results of the others."""

__all__ = ["EXPERIMENTS"]

EXPERIMENTS = {}
