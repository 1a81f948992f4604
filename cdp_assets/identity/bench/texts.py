"""Levels of a text attribute: by its spelling if short, by its words if long."""

Levels = list[tuple[str, str]]


# Texts of more words than this on average are compared by their words.
_SHORT_TEXT = 2.5


def overlap(words: str, share: float) -> str:
    """Whether two texts have that share of all their words in common.

    Of n words in common among a and b words, n / (a + b - n) is the share.
    """
    least = share / (1 + share)
    return (
        f"len(list_intersect({words}_l, {words}_r)) "
        f">= {least:.4f} * (len({words}_l) + len({words}_r))"
    )


def text_levels(column: str, words: float, *, numbers: bool = False) -> Levels:
    """A text attribute, by its spelling if short and by its words if long."""
    left, right = f"{column}_l", f"{column}_r"
    levels = [
        ("missing", f"{left} is null or {right} is null"),
        ("same", f"{left} = {right}"),
    ]
    similar = f"jaro_winkler_similarity({left}, {right})"
    if numbers:
        apart = f"abs(try_cast({left} as double) - try_cast({right} as double))"
        levels += [("next to it", f"{apart} <= 1")]
    elif words > _SHORT_TEXT:
        words_column = f"{column}_words"
        levels += [
            (
                "nearly all words",
                f"{overlap(words_column, 0.75)} or {similar} >= 0.97",
            ),
            ("most words", f"{overlap(words_column, 0.5)}"),
            ("some words", f"{overlap(words_column, 0.3)}"),
            ("few words", f"{overlap(words_column, 0.15)}"),
        ]
    else:
        levels += [
            ("one typo", f"{similar} >= 0.92"),
            (
                "one contains the other",
                f"contains({left}, {right}) or contains({right}, {left})",
            ),
            ("similar", f"{similar} >= 0.82"),
            ("most words", overlap(f"{column}_words", 0.5)),
        ]
    return [*levels, ("different", "else")]
