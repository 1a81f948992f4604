"""The catalogue as text for a terminal: what was declared, beside what was seen."""

from collections.abc import Iterable, Iterator

from cdp_assets.streams.catalog import CatalogueRow, Seen


def render(rows: Iterable[CatalogueRow]) -> str:
    """Lay the catalogue out, one block per stream."""
    return "\n\n".join("\n".join(_block(row)) for row in rows)


def _block(row: CatalogueRow) -> Iterator[str]:
    yield f"{row.stream}  ({row.source}, {row.category}, {row.format})"
    yield f"  {row.description}"
    declared = {
        "key": ", ".join(row.key),
        "newer by": row.order,
        "refresh": f"{row.refresh_mode}, schedule {row.schedule}",
        "kept": f"{row.retention_days:,} days",
        "authoritative for": ", ".join(row.authoritative_for) or "nothing",
        "personal data": ", ".join(row.pii_fields) or "none declared",
        "expected": f"{row.expected_records_per_day:,} records a day, "
        f"fresh within {row.freshness_hours} h",
    }
    for label, text in declared.items():
        yield f"  {label:<18} {text}"
    for issue in row.known_issues:
        yield f"  {'known issue':<18} {issue}"
    yield from _seen(row.seen) if row.seen else ["  seen               nothing yet"]


def _seen(seen: Seen) -> Iterator[str]:
    stale = ", STALE" if seen.is_stale else ""
    yield (
        f"  {'seen':<18} {seen.records:,} records, {seen.records_per_day:,.0f} a day, "
        f"newest {seen.newest_at or 'unknown'}{stale}"
    )
    yield (
        f"  {'files':<18} {seen.files:,} loaded, {seen.unreadable_files:,} unreadable, "
        f"{seen.deleted:,} records deleted"
    )
    if seen.quarantined:
        parts = (f"{name or 'row'} {n:,}" for name, n in seen.quarantined.items())
        yield f"  {'quarantined':<18} {', '.join(parts)}"
    empty = [f"{name} {share:.0%}" for name, share in seen.null_shares.items() if share]
    if empty:
        yield f"  {'emptiest':<18} {', '.join(empty)}"
