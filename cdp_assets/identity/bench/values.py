"""What labelled files are full of: empty words, dates in every form, national numbers.

A stream's mapping knows how its source writes; here the file itself has to tell.
"""

import duckdb

from cdp_assets.streams.reference import normalise_phone

# Programs write these where a value is missing.
_EMPTY = "('', 'nan', 'null', 'none', 'n/a', '\\n', '<na>', 'nat', '-', '--', '?', '.')"

# Of dates that begin with a year of four digits; the last have day and month the wrong
# way round, where the right one makes a date that there is not.
_YEAR_FIRST = [
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y %m %d", "%Y%m%d", "%Y-%d-%m", "%Y/%d/%m",
    "%Y%d%m",
]  # fmt: skip
# Forms that say themselves which part is the month.
_MONTH_NAMED = [
    "%d %b %Y", "%d %B %Y", "%b %d %Y", "%B %d %Y", "%b %d, %Y", "%B %d, %Y",
    "%d-%b-%Y", "%d-%b-%y",
]  # fmt: skip
_DAY_FIRST = ["%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%d/%m/%y", "%d.%m.%y"]
_MONTH_FIRST = ["%m/%d/%Y", "%m.%d.%Y", "%m-%d-%Y", "%m/%d/%y", "%m.%d.%y"]

# Of two digits, a year up to this one is of this century.
_THIS_CENTURY = 26

# Countries whose national numbers are tried where a number says no country: the first
# in which most of them are numbers. Strict plans come first; Germany's and Austria's
# take nearly every number for one.
_REGIONS = (
    "US", "FR", "GB", "AU", "ES", "NL", "BR", "IN", "PL", "CH", "BE", "ZA", "NZ", "SG",
    "JP", "CN", "MX", "SE", "IE", "IT", "DE", "AT",
)  # fmt: skip
_SAMPLE = 300
_FEWEST_DIGITS = 6


def cell(field: str) -> str:
    """A field without the words that stand for nothing."""
    return f"case when lower(trim({field})) not in {_EMPTY} then trim({field}) end"


def date_of(
    connection: duckdb.DuckDBPyConnection, table: str, column: str, form: str | None
) -> str:
    """SQL of the date a column of a table holds.

    Without a day it is the first of its month, without a month the first of January;
    of what is no date the year counts, where it has one.
    """
    value = f"regexp_replace({column}, '[T ][0-9]{{1,2}}:[0-9]{{2}}.*$|\\.0$', '')"
    filled = f"replace(replace({value}, '-00', '-01'), '/00/', '/01/')"
    ours = [form] if form else []
    numbers = [_MONTH_FIRST, _DAY_FIRST]
    if _day_first(connection, table, column):
        numbers.reverse()
    others = [*ours, *_MONTH_NAMED, *numbers[0], *numbers[1]]
    year = f"regexp_extract({value}, '(?:^|[^0-9])(1[0-9]{{3}}|20[0-9]{{2}})', 1)"
    # DuckDB's %Y takes 8/2/06 for the sixth of February in the year 8.
    read = (
        f"try_cast(if(regexp_matches({value}, '^[0-9]{{4}}'), "
        f"try_strptime({filled}, [{_listed([*ours, *_YEAR_FIRST])}]), "
        f"try_strptime({filled}, [{_listed(others)}])) as date)"
    )
    return f"""
        coalesce(
            if(year({read}) < 100,
                {read} + to_years(if(year({read}) > {_THIS_CENTURY}, 1900, 2000)),
                {read})::date,
            try_cast(
                regexp_extract({value}, '^[0-9]{{4}}-[0-9]{{2}}$') || '-01' as date),
            try_cast({year} || '-01-01' as date)
        )
    """


def _listed(forms: list[str]) -> str:
    """Forms of dates as a list in SQL."""
    return ", ".join("'" + form.replace("'", "''") + "'" for form in forms)


def _day_first(connection: duckdb.DuckDBPyConnection, table: str, column: str) -> bool:
    """Whether more dates of the column can only be read with the day in front."""
    found = connection.execute(
        f"""
        select
            count(*) filter (where a > 12 and b <= 12),
            count(*) filter (where b > 12 and a <= 12)
        from (
            select
                try_cast(regexp_extract({column}, '^([0-9]+)[/.-]', 1) as integer) as a,
                try_cast(
                    regexp_extract({column}, '^[0-9]+[/.-]([0-9]+)[/.-]', 1) as integer
                ) as b
            from {table} where regexp_matches({column}, '^[0-9]{{1,2}}[/.-][0-9]')
        )
        """
    ).fetchall()[0]
    return bool(found[0] > found[1])


def settle_national_numbers(connection: duckdb.DuckDBPyConnection) -> None:
    """Read numbers without a country as those of the country most of them fit.

    What is a number nowhere is kept as its digits: two records that have the same ones
    still agree.
    """
    unknown = [
        raw
        for (raw,) in connection.execute(
            """
            select raw from reference.phone where e164 is null
                and reason in ('no country code and no country known',
                    'not a phone number', 'too short', 'too long')
                or reason like 'no number of%'
            order by raw
            """
        ).fetchall()
    ]
    region = _region_of(unknown[:: max(1, len(unknown) // _SAMPLE)])
    settled = []
    for raw in unknown:
        digits = "".join(filter(str.isdigit, raw))
        number = normalise_phone(raw, region).e164 if region else None
        if number is None and len(digits) >= _FEWEST_DIGITS:
            number = digits
        if number is not None:
            settled.append((raw, number))
    if settled:
        connection.execute(
            """
            update reference.phone set e164 = settled.number
            from (select unnest($raws) as raw, unnest($numbers) as number) as settled
            where reference.phone.raw = settled.raw and reference.phone.e164 is null
            """,
            {"raws": [raw for raw, _ in settled], "numbers": [n for _, n in settled]},
        )


def _region_of(numbers: list[str]) -> str:
    """The first country in which most of some numbers are numbers; "" for none."""
    for region in _REGIONS:
        valid = sum(normalise_phone(raw, region).e164 is not None for raw in numbers)
        if valid > len(numbers) // 2:
            return region
    return ""
