"""Waterfalls: segments in order of priority, and each person only in the first.

Each YAML in ``waterfalls/`` becomes one segment per step, ``<waterfall>__<segment>``,
whose condition is the step's segment and none of the steps before it. A step with a
limit passes on whom it has no place for. The steps are segments like any other: they
have members, a history and activations.
"""

from pathlib import Path
from typing import Annotated

import pydantic

from cdp_assets.declarations import Declaration, identifier, read_declarations
from cdp_assets.segments.nesting import SEGMENT
from cdp_assets.segments.ranking import Limit

FOLDER = "waterfalls"


class Step(Declaration):
    """One segment of a waterfall."""

    segment: Annotated[str, pydantic.AfterValidator(identifier)]
    limit: Limit | None = None


class WaterfallSpec(Declaration):
    """Segments of which each person is in at most one."""

    name: Annotated[str, pydantic.AfterValidator(identifier)]
    label: str
    description: str
    owner: str
    steps: tuple[Step, ...] = pydantic.Field(min_length=2)

    @pydantic.field_validator("steps", mode="before")
    @classmethod
    def _a_name_is_a_step(cls, steps: object) -> object:
        if not isinstance(steps, list):
            return steps
        return [{"segment": each} if isinstance(each, str) else each for each in steps]

    @pydantic.field_validator("steps")
    @classmethod
    def _each_once(cls, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        names = [step.segment for step in steps]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(
                f"{', '.join(sorted(twice))} stands in it twice: the second time it "
                "takes nobody"
            )
        return steps

    def declared_segments(self) -> list[dict[str, object]]:
        """What each step is as a segment's declaration, the first one first."""
        made: list[dict[str, object]] = []
        for place, step in enumerate(self.steps, start=1):
            before = [f"not {SEGMENT}.{each['name']}" for each in made]
            made.append(
                {
                    "name": f"{self.name}__{step.segment}",
                    "label": f"{self.label}: {step.segment}",
                    "description": f"{self.description}\n\nStep {place} of "
                    f"{len(self.steps)}: members of {step.segment} whom no step "
                    "before it took.",
                    "owner": self.owner,
                    "condition": " and ".join([f"{SEGMENT}.{step.segment}", *before]),
                    "limit": step.limit,
                }
            )
        return made


def load_waterfalls(folder: Path) -> dict[str, WaterfallSpec]:
    """Every declared waterfall by name, from ``waterfalls/`` in ``folder``."""
    return read_declarations(folder / FOLDER, WaterfallSpec)
