"""The gate ``precision_on_labels``: new people must not contradict more labels.

Compared with the published people on the same labels, because pairs for review are the
hard ones: what share of them is right says nothing by itself.
"""

from collections.abc import Iterator

import duckdb

from cdp_assets.identity.labels import quality
from cdp_assets.identity.sections import Gates
from cdp_assets.identity.verdict import Verdict


def label_gate(
    connection: duckdb.DuckDBPyConnection, gates: Gates, links: str
) -> Iterator[Verdict]:
    """Judge the staged people where enough labelled pairs are together in them.

    Args:
        connection: The warehouse.
        gates: The limits.
        links: The people as they would be: a relation of ``record``, ``unified_id``.
    """
    before = quality(connection).precision
    after = quality(connection, links).precision
    if min(before.pairs, after.pairs) < gates.labels_needed:
        return
    yield Verdict(
        "precision_on_labels",
        gates.precision_on_labels,
        round(before.value - after.value, 4),
        f"from {before} to {after}",
    )
