"""What an experiment is: typed settings, conditions and scales.

``quick`` is what a chapter runs on the embedded data in seconds, ``cpu`` a laptop's reference
run on real photographs, ``paper`` the authors' setting. An experiment compares *conditions*:
labels ("heuristic: mixup") with the settings that make them. A *unit* is one seed of one
condition.
"""

import dataclasses
import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields

from hfc import data
from hfc.arguments import check_fields
from hfc.frequency import COMPONENTS, radial_mask
from hfc.training import Recipe

__all__ = ["Condition", "Experiment", "Scale", "Settings", "as_json", "grid"]

RADII = (4, 8, 12, 16)
COPIES = ("low", "high", "high + mean")
SCALED = (*COPIES, "low, scaled", "high, scaled")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What one network is, what it learns from, and what is measured.

    Attributes
    ----------
    model, norm, dropout, width, kernel_size, normalise
        As in :func:`hfc.models.build`.
    recipe : Recipe
        Its seed is that of the unit: it decides the initial weights, the order of the images,
        and the synthetic set or the subset of a real one, too.
    dataset : str
        One of :data:`hfc.data.NAMES`.
    train_size, test_size : int, optional
        Numbers of images; all where nothing is said.
    hfc_strength : float, optional
        As in :func:`hfc.data.load`.
    shuffled : float
        Share of the training labels that are shuffled, 0 to 1.
    trained_on : str, optional
        Component that the network sees in training, one of :data:`hfc.frequency.COMPONENTS`.
    train_radius : float, optional
        Radius of that component.
    epochs : tuple of int, optional
        Epochs after which to measure, ascending; only at the end where nothing is said.
    images : tuple of str
        ``"train"``, ``"test"`` or both: on which images accuracy is measured.
    radii : tuple of float
        Radii of the copies that are measured, in waves per image.
    components : tuple of str
        Which copies.

    Raises
    ------
    TypeError, ValueError
        If a value is of a wrong type or out of range; the text names the setting.
    """

    model: str
    recipe: Recipe
    dataset: str = "synthetic"
    train_size: int | None = None
    test_size: int | None = None
    hfc_strength: float | None = None
    norm: str | None = None
    normalise: bool = True
    dropout: float = 0.0
    width: int | None = None
    kernel_size: int | None = None
    shuffled: float = 0.0
    trained_on: str | None = None
    train_radius: float | None = None
    epochs: tuple[int, ...] | None = None
    images: tuple[str, ...] = ("train", "test")
    radii: tuple[float, ...] = RADII
    components: tuple[str, ...] = COPIES

    def __post_init__(self):
        for name in ("epochs", "images", "radii", "components"):
            value = getattr(self, name)
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
            elif not isinstance(value, tuple) and not (name == "epochs" and value is None):
                raise ValueError(f"{name} must be a tuple, got {value!r}")
        check_fields(self)
        for name in ("train_size", "test_size"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("shuffled", "hfc_strength"):
            if not 0 <= (getattr(self, name) or 0) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, got {getattr(self, name)}")
        for name, known in (("images", ("train", "test")), ("components", COMPONENTS)):
            for value in getattr(self, name):
                if value not in known:
                    raise ValueError(f"{name} must be of {', '.join(known)}, got {value!r}")
        if (self.trained_on is None) != (self.train_radius is None):
            got = f"trained_on={self.trained_on!r} and train_radius={self.train_radius!r}"
            raise ValueError(f"trained_on and train_radius must be given together, got {got}")
        if self.trained_on not in (None, *COMPONENTS):
            raise ValueError(
                f"trained_on must be one of {', '.join(COMPONENTS)}, got {self.trained_on!r}"
            )
        for name, radii in (("radii", self.radii), ("train_radius", (self.train_radius or 0,))):
            for radius in radii:
                try:
                    radial_mask(1, 1, radius)
                except (TypeError, ValueError):
                    raise ValueError(
                        f"{name} must hold numbers of at least 0, got {radius!r}"
                    ) from None
        if not self.radii:
            raise ValueError("radii must hold at least one radius, got none")
        last = self.recipe.epochs
        if not self.components:
            raise ValueError("components must hold at least one component, got none")
        if self.epochs is not None:
            if not all(isinstance(epoch, int) for epoch in self.epochs):
                raise ValueError(f"epochs must be whole numbers, got {self.epochs}")
            if not self.epochs or list(self.epochs) != sorted(set(self.epochs)):
                raise ValueError(f"epochs must ascend, each once, got {self.epochs}")
            if not any(1 <= epoch <= last for epoch in self.epochs):
                raise ValueError(f"epochs must name one from 1 to {last}, got {self.epochs}")
        if self.dataset not in data.NAMES:
            known = ", ".join(data.NAMES)
            raise ValueError(f"dataset must be one of {known}, got {self.dataset!r}")

    def changed(self, **changes) -> "Settings":
        """Settings that differ in some fields.

        Parameters
        ----------
        **changes
            Fields of the settings. ``recipe`` can be a dict of the recipe's fields that differ.

        Raises
        ------
        ValueError
            If there is no such field, or a value is out of range.
        """
        _check_names(changes, self)
        recipe = changes.get("recipe")
        if isinstance(recipe, dict):
            _check_names(recipe, self.recipe)
            changes = changes | {"recipe": dataclasses.replace(self.recipe, **recipe)}
        return dataclasses.replace(self, **changes)

    def training(self) -> dict:
        """What decides the trained network, as JSON can hold it, without the seed.

        Networks of experiments that only measure different things are the same.
        """
        own = {f.name for f in fields(Settings)} - set(_MEASURED)
        return {name: value for name, value in as_json(self).items() if name in own}


_MEASURED = ("test_size", "epochs", "images", "radii", "components")


def _check_names(changes, of):
    known = [f.name for f in fields(of)]
    for name in changes:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            meant = f"; did you mean {near[0]!r}?" if near else f", only {', '.join(known)}"
            raise ValueError(f"{type(of).__name__} has no {name!r}{meant}")


@dataclass(frozen=True)
class Condition:
    """Labels that name a condition, and its settings."""

    label: dict
    settings: Settings


@dataclass(frozen=True)
class Scale:
    """An experiment's settings at one scale.

    Attributes
    ----------
    base : Settings
        What all conditions share.
    conditions : tuple of (dict, dict)
        For each condition its labels and the fields of ``base`` that it changes, as in
        :meth:`Settings.changed`.

    Raises
    ------
    ValueError
        If a condition changes what is no setting, or two have the same labels.
    """

    base: Settings
    conditions: tuple[tuple[dict, dict], ...] = (({}, {}),)

    def __post_init__(self):
        labels = [tuple(condition.label.items()) for condition in self.each()]
        if len(set(labels)) < len(labels):
            raise ValueError(f"conditions must have different labels, got {labels}")

    def each(self, **changes) -> Iterator[Condition]:
        """The conditions, with changes made to what they share."""
        base = self.base.changed(**changes)
        for label, own in self.conditions:
            try:
                yield Condition(label, base.changed(**own))
            except ValueError as error:
                raise ValueError(f"condition {label}: {error}") from None


@dataclass(frozen=True)
class Experiment:
    """What an experiment is.

    Attributes
    ----------
    measure : callable
        ``measure(model, train_set, test_set, settings)`` returns a list of records: dicts with
        labels that tell them apart and the measured numbers. It is called after training or, if
        the settings name ``epochs``, after each of these, and ``epoch`` is added to the
        records.
    keys : tuple of str
        Names of the values that tell one seed's records apart, those that label the conditions
        among them.
    scales : dict of str to Scale
    claims : tuple of str
        Ids of the claims it tests.
    check : callable, optional
        ``check(settings)`` raises ValueError or DatasetError if it cannot be measured with
        them. It is called before anything is trained.
    """

    measure: Callable
    keys: tuple[str, ...]
    scales: dict[str, Scale]
    claims: tuple[str, ...] = ()
    check: Callable | None = field(default=None)


def grid(**axes) -> tuple[tuple[dict, dict], ...]:
    """Conditions from axes ``label={value: changes}``, every value with every other."""
    conditions = [({}, {})]
    for label, values in axes.items():
        conditions = [
            (labels | {label: value}, _merged(own, changes))
            for labels, own in conditions
            for value, changes in values.items()
        ]
    return tuple(conditions)


def _merged(own, changes):
    recipe = own.get("recipe", {}) | changes.get("recipe", {})
    return own | changes | ({"recipe": recipe} if recipe else {})


def as_json(settings: Settings, **others) -> dict:
    """Settings as JSON can hold them, without the seed of the recipe."""
    chosen = dataclasses.asdict(settings) | others
    del chosen["recipe"]["seed"]
    return _plain(chosen)


def _plain(value):
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, tuple | list) else value


# Scales that experiments begin with ---------------------------------------------------------

QUICK = Settings(
    model="small",
    recipe=Recipe(epochs=12, batch_size=32, lr=0.1, weight_decay=0.0, gradient_clip=1.0),
    train_size=1500,
    test_size=500,
)
# Gradients are clipped so that networks with and without normalisation train by one recipe. The
# network was chosen by benchmarks/choose_network.py, on seeds that no result has.
CPU = Settings(
    model="plain",
    recipe=Recipe(epochs=10, batch_size=100, lr=0.1, weight_decay=0.0, gradient_clip=1.0),
    train_size=20_000,
    test_size=2000,
)
# The authors' setting: their 32-layer network without normalisation, pixels as they are. Their
# 100 epochs (300 for shuffled labels) stay where a claim is about long training; elsewhere
# .changed(recipe={"epochs": ...}) spares GPU time.
PAPER = Settings(
    model="resnet32",
    normalise=False,
    recipe=Recipe(
        epochs=100,
        batch_size=100,
        optimizer="adam",
        lr=1e-4,
        schedule="constant",
        weight_decay=0.0,
    ),
)
