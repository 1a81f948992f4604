"""What a gate found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """What one gate found."""

    gate: str
    limit: float
    value: float
    blame: str = ""
    released: bool = False
    """Whether a person said to publish all the same."""

    @property
    def passed(self) -> bool:
        """Whether the value keeps the limit, or does not have to."""
        return self.released or self.value <= self.limit

    def __str__(self) -> str:
        """The gate, its limit and the value, as the run's error says them."""
        blame = f" ({self.blame})" if self.blame else ""
        return f"{self.gate}: {self.value:g} is above the limit {self.limit:g}{blame}"
