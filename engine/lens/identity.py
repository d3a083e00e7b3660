"""Which backbone, weights and lens made a vector: what must be the same for two to be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ...core.errors import StoreMismatchError

METRIC = "inner product"


@dataclass(frozen=True)
class ModelIdentity:
    """All that decides which vector a picture gets. Two embedders of equal identity are
    interchangeable, any others must not be mixed in one store."""

    backbone: str
    """Its registry name."""
    weights_sha256: str | None
    """None where nobody here knows the weights."""
    lens_sha256: str | None
    """`Lens.digest`; None for a lens that learned nothing."""
    dimension: int
    """Of the stored vectors."""
    metric: str = METRIC
    recipe: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What else decides it, by name, as JSON values: of a backbone `BackboneSpec.recipe` and the
    conversion to RGB; of vectors from elsewhere the model that they are said to be of. Stores of
    earlier versions lack some, those of later ones may have more."""

    def document(self) -> dict[str, Any]:
        """As JSON values, in the order in which stores have them."""
        return {
            "backbone": self.backbone,
            "weights_sha256": self.weights_sha256,
            **self.recipe,
            "lens_sha256": self.lens_sha256,
            "dimension": self.dimension,
            "metric": self.metric,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> ModelIdentity:
        """What `document` gave; names that this version does not know are kept.

        Raises:
            KeyError, TypeError, ValueError, OverflowError: no such document.
        """
        rest = dict(document)
        backbone, metric = rest.pop("backbone"), rest.pop("metric")
        weights, lens = rest.pop("weights_sha256"), rest.pop("lens_sha256")
        for text in (backbone, metric, weights or "", lens or ""):
            if not isinstance(text, str):
                raise TypeError(f"{text!r} is no text")
        return cls(backbone, weights, lens, int(rest.pop("dimension")), metric, rest)


class Difference(NamedTuple):
    """The first thing that tells two identities apart, in words."""

    what: str
    one: str
    other: str


def difference(one: ModelIdentity, other: ModelIdentity) -> Difference | None:
    """What tells two identities apart; None where nothing does."""
    mine, theirs = one.document(), other.document()
    for key in {**mine, **theirs}:
        if mine.get(key) != theirs.get(key):
            name = key.removesuffix("_sha256").replace("_", " ")
            return Difference(name, _short(mine.get(key)), _short(theirs.get(key)))
    return None


def require_same(made_by: ModelIdentity, identity: ModelIdentity) -> None:
    """Refuse to mix the vectors of two embedders.

    Raises:
        StoreMismatchError: says what differs.
    """
    if found := difference(made_by, identity):
        raise StoreMismatchError(
            f"the store was made with another {found.what} ({found.one}, now {found.other}); "
            "vectors of the two can't be compared: use what made it, or build another store with "
            "--store"
        )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:12]}…"
