"""What makes the accuracy of a model under attack suspicious, as values."""

import re
from dataclasses import dataclass

__all__ = ["KINDS", "Flag"]

# Every kind of flag, and what it says; {} is the share of images, where there is one.
KINDS = {
    "training-mode": "the model came in training mode",
    "random-model": "the model is random: two passes differ",
    "left-range": "the attack left [0, 1]",
    "left-ball": "the attack left the ball",
    "vanishing-gradients": "gradients vanish for {} of images",
    "rising-accuracy": "accuracy rises with epsilon",
    "noise-stronger": "noise breaks {} more images than gradients",
    "waves-stronger": "waves break {} more images than gradients",
    "apgd-stronger": "APGD breaks {} more images",
    "fewer-steps-stronger": "a quarter of the steps breaks {} more images",
    "survives-grey": "{} of images stay right though epsilon reaches grey",
}


@dataclass(frozen=True)
class Flag:
    """What makes a robust accuracy suspicious; its ``str`` is a sentence.

    >>> print(Flag("vanishing-gradients", 0.451))
    gradients vanish for 45 % of images

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`.
    share : float, optional
        Share of images, in [0, 1], of those kinds that have one.

    Raises
    ------
    ValueError
        If the kind is unknown, or the share is missing, out of range, or of no meaning.
    """

    kind: str
    share: float | None = None

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        has_share, given = "{}" in KINDS[self.kind], self.share is not None
        if has_share != given or (given and not 0 <= self.share <= 1):
            wanted = "in [0, 1]" if has_share else "left out"
            raise ValueError(f"share must be {wanted} for {self.kind!r}, got {self.share}")

    def __str__(self):
        percent = None if self.share is None else f"{100 * self.share:.0f} %"
        return KINDS[self.kind].format(percent)

    @classmethod
    def parse(cls, text: str) -> "Flag":
        """The flag that has this sentence, its share in whole percent; ValueError if none has."""
        for kind, sentence in KINDS.items():
            pattern = re.escape(sentence).replace(r"\{\}", r"(\d+) %")
            if found := re.fullmatch(pattern, text):
                return cls(kind, *(int(percent) / 100 for percent in found.groups()))
        raise ValueError(f"text must be the sentence of a flag, got {text!r}")

    def encode(self) -> str:
        """Kind and share, to four digits, as in ``"vanishing-gradients=0.45"``."""
        return self.kind if self.share is None else f"{self.kind}={self.share:.4g}"

    @classmethod
    def decode(cls, text: str) -> "Flag":
        """The flag that :meth:`encode` made this of; ValueError if it made it of none."""
        kind, *share = text.split("=", 1)
        return cls(kind, *map(float, share))
