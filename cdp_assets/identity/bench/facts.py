"""Whether a file keeps to the hard facts that its ruleset declares.

Two birth dates are two people where dates are kept with care. Where one record in ten
has a wrong one, the same fact would tear people apart: then it is left to the model,
which has learnt how often dates differ within one person.
"""

import duckdb

from cdp_assets.identity.rules import ObjectRules
from cdp_assets.identity.sections import CannotLink
from cdp_assets.identity.vetoes import stage_vetoes

# Pairs that are one person's without much doubt.
_SURE = 0.9

# A fact that a larger share of them contradicts is none; fewer pairs tell nothing.
_LARGEST_SHARE = 0.001
_FEWEST = 200

# Unless so many have nothing personal in common that they are no slips of the pen: the
# file is one of households, and the fact what it needs most.
_HOUSEHOLDS = 0.05


def facts_kept(
    connection: duckdb.DuckDBPyConnection, rules: ObjectRules
) -> dict[CannotLink, float]:
    """Per fact of the rules the share of sure pairs that contradict it.

    Reads ``candidate_posterior``. A share of 0 stands for too few to tell.
    """
    connection.execute(
        """
        create or replace temp table sure_pair as
        select node_l, node_r from candidate_posterior where posterior >= ?
        """,
        [_SURE],
    )
    stage_vetoes(connection, rules.cannot_link, "sure_pair", "sure_veto")
    found = dict(
        connection.execute(
            """
            select fact, if(pairs >= ?, count(*) / pairs, 0)
            from sure_veto cross join (select count(*) as pairs from sure_pair)
            group by fact, pairs
            """,
            [_FEWEST],
        ).fetchall()
    )
    return {fact: found.get(fact, 0.0) for fact in rules.cannot_link}


def without_broken(rules: ObjectRules, shares: dict[CannotLink, float]) -> ObjectRules:
    """The rules without the facts that the file does not keep to."""
    kept = [
        fact
        for fact in rules.cannot_link
        if shares[fact] <= _LARGEST_SHARE
        or (fact == "nothing_personal_agrees" and shares[fact] >= _HOUSEHOLDS)
    ]
    return rules.model_copy(update={"cannot_link": kept})
