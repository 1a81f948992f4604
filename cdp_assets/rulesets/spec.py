"""What a ruleset beside the published one declares: one YAML in this folder each."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import pydantic

from cdp_assets.declarations import DeclarationError, identifier, read_declarations
from cdp_assets.identity.rules import Ruleset, find_models
from cdp_assets.identity.sections import ReconciliationRule

# The name under which the ruleset that profiles follow stands in comparisons.
PUBLISHED = "published"
DECLARATIONS = Path(__file__).parent
# As many as Data Cloud admits of one object. Each keeps nodes and evidence of its own,
# about what the published one takes of the warehouse.
MOST = 5


class BesideRuleset(Ruleset):
    """A complete ruleset of its own, and who asked for it.

    It reconciles nothing: profiles are those of the published ruleset.
    """

    name: Annotated[str, pydantic.AfterValidator(identifier)]
    label: str
    description: str
    owner: str
    reconciliation: dict[
        Literal["individual", "account"], dict[str, ReconciliationRule]
    ] = pydantic.Field(default_factory=dict, max_length=0)

    @pydantic.field_validator("name")
    @classmethod
    def _name_is_free(cls, name: str) -> str:
        if name == PUBLISHED:
            raise ValueError(f"{PUBLISHED} is the name of the one that profiles follow")
        return name


@cache
def load_rulesets(folder: Path | None = None) -> dict[str, BesideRuleset]:
    """Every declared ruleset beside the published one, by name.

    Args:
        folder: Where the declarations are; default this package.

    Raises:
        DeclarationError: A file cannot be used, or there are too many.
    """
    place = folder or DECLARATIONS
    found = read_declarations(place, BesideRuleset)
    for name, ruleset in found.items():
        find_models(place / f"{name}.yaml", ruleset)
    if len(found) > MOST:
        raise DeclarationError(
            f"{len(found)} rulesets beside the published one: {MOST} at most, each "
            "resolves everybody and keeps evidence of its own. Try others with "
            "`cdp identity what-if FILE`"
        )
    return found
