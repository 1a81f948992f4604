"""A stratified random sample of pairs for people to judge, where there is no truth.

Which pairs are drawn follows from a digest of the seed and the two records: the same
seed draws the same pairs again, and a larger sample holds the smaller one. What is
drawn stands in ``identity.clerical_sample`` with how many pairs each stood for, so that
its answers can be told from those about hard pairs; a new draw replaces the last.
"""

import datetime as dt

import duckdb

from cdp_assets.errors import OperatorError
from cdp_assets.identity.judging.strata import sizes, stage_strata
from cdp_assets.identity.review import Question
from cdp_assets.warehouse import transaction

# Of every stratum at least so many: ten answers of one kind leave a share between 70
# and 100 %.
_LEAST = 10
# How far answers of a stratum are expected to differ, as a standard deviation: of what
# is near the threshold half may be wrong, of what is far from it one in 25.
_NEAR, _FAR = 0.5, 0.2
_CERTAIN = ("far above the link weight", "well below the link weight")


def allocate(pairs: dict[str, int], wanted: int) -> dict[str, int]:
    """How many pairs to draw of each stratum.

    A floor for each, the rest where most is learnt of it: by size times expected
    deviation (Neyman). No stratum gives more than it has.
    """
    floor = min(_LEAST, wanted // max(len(pairs), 1))
    drawn = {name: min(floor, size) for name, size in pairs.items()}
    while (left := wanted - sum(drawn.values())) > 0:
        shares = {
            name: size * (_FAR if name.endswith(_CERTAIN) else _NEAR)
            for name, size in pairs.items()
            if drawn[name] < size
        }
        if not shares:
            break
        whole = sum(shares.values())
        for name, share in shares.items():
            room = pairs[name] - drawn[name]
            drawn[name] += min(room, int(left * share / whole))
        left = wanted - sum(drawn.values())
        # What rounding left, one each, the largest first; room lacks to few.
        for name in sorted(shares, key=lambda each: -shares[each])[:left]:
            drawn[name] += drawn[name] < pairs[name]
    return drawn


def draw(
    connection: duckdb.DuckDBPyConnection,
    wanted: int,
    *,
    link_weight: float,
    seed: str,
    at: dt.datetime,
) -> list[Question]:
    """Draw a sample and keep it in place of the last.

    Args:
        connection: The warehouse, open for writing.
        wanted: How many pairs, at least one of each stratum.
        link_weight: The threshold in force.
        seed: Another one draws other pairs.
        at: Now (UTC).

    Returns:
        The pairs that nobody answered yet, mixed, without their stratum or weight: who
        knows what the system thinks is led by it.

    Raises:
        OperatorError: There are more strata than pairs wanted, or no pairs at all.
    """
    stage_strata(connection, link_weight)
    pairs = sizes(connection)
    if not pairs:
        raise OperatorError(
            "no two records are together or have evidence; resolve some people first"
        )
    if wanted < len(pairs):
        raise OperatorError(
            f"{wanted} pairs are too few for {len(pairs)} strata; ask for "
            f"{len(pairs) * _LEAST} or more"
        )
    _keep(connection, pairs, allocate(pairs, wanted), seed, at)
    return _unanswered(connection)


def _keep(
    connection: duckdb.DuckDBPyConnection,
    pairs: dict[str, int],
    chosen: dict[str, int],
    seed: str,
    at: dt.datetime,
) -> None:
    """Write so many pairs of each stratum in place of the last sample."""
    with transaction(connection):
        connection.execute("delete from identity.clerical_sample")
        connection.execute(
            """
            insert into identity.clerical_sample
            select record_l, record_r, stratum, size / wanted, $seed, $at
            from judged_pair inner join (
                select
                    unnest($strata::varchar[]) as stratum,
                    unnest($wanted::bigint[]) as wanted,
                    unnest($sizes::bigint[]) as size
            ) using (stratum)
            qualify row_number() over (
                partition by stratum
                order by md5(concat_ws(' ', $seed, record_l, record_r)), record_l
            ) <= wanted
            """,
            {
                "seed": seed,
                "at": at,
                "strata": list(chosen),
                "wanted": list(chosen.values()),
                "sizes": [pairs[name] for name in chosen],
            },
        )


def _unanswered(connection: duckdb.DuckDBPyConnection) -> list[Question]:
    rows = connection.execute(
        """
        select record_l, record_r from identity.clerical_sample
        anti join identity.labelled_pair using (record_l, record_r)
        order by md5(concat_ws(' ', 'order', seed, record_l, record_r))
        """
    ).fetchall()
    return [Question(left, right, "drawn at random", None) for left, right in rows]
