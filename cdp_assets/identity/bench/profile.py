"""Which comparisons a file has enough for, and whose values are rare or common."""

from cdp_assets.identity.bench.comparisons import (
    AT_HOME,
    COMPANIES,
    FOLLOWS,
    PEOPLE,
    at_home,
)
from cdp_assets.identity.bench.texts import Levels, text_levels
from cdp_assets.identity.derived import slug

# An attribute that fewer records have is left out.
_LEAST_SHARE = 0.005


class Profile:
    """What a file holds: per attribute the share of records that have it."""

    def __init__(
        self,
        shares: dict[str, float],
        texts: dict[str, tuple[float, float, bool]],
    ) -> None:
        """Keep the shares, and of text attributes also words on average and numbers."""
        self._shares = shares
        self._texts = texts

    def comparisons(self, object_name: str) -> dict[str, Levels]:
        """The comparisons the file has enough for, in a fixed order."""
        offered = PEOPLE if object_name == "individual" else COMPANIES
        chosen = {
            name: levels
            for name, levels in offered.items()
            if self._shares.get(name, 0) >= _LEAST_SHARE
        }
        # The address says where as well.
        chosen.pop("place" if "address" in chosen else "", None)
        for name, tell in FOLLOWS.items():
            known = [other for other in tell if other in chosen]
            # Who lives together is told apart by what each has alone.
            if name in chosen and known and not PERSONAL.isdisjoint(chosen):
                chosen[name] = at_home(chosen[name], known)
        for name, (share, words, numbers) in sorted(self._texts.items()):
            if share >= _LEAST_SHARE:
                column = f"attribute_{slug(name)}"
                chosen[column] = text_levels(column, words, numbers=numbers)
        return chosen


PERSONAL = {"first_name", "birth_date"}

# Where a level of this label agrees on one value, how rare the value is counts too.
FREQUENT = {
    ("first_name", "same"): "first_name",
    ("last_name", "same"): "last_name",
    ("birth_date", "same"): "birth_text",
    ("place", "same postal code"): "postal_code",
    ("place", "same city"): "city",
    ("address", "same postal code"): "postal_code",
    ("address", "same city"): "city",
    ("email", "same"): "email",
    ("phone", "same"): "phone",
    ("name", "same"): "full_name",
}


def frequency_column(comparison: str, label: str) -> str | None:
    """The column whose rarity a level's weight follows."""
    if comparison.startswith("attribute_"):
        return comparison if label == "same" else None
    return FREQUENT.get((comparison, label))


def levels_at_home(levels: Levels) -> int:
    """How many levels are weighed among those who live together."""
    return sum(label.endswith(AT_HOME) for label, _ in levels)
