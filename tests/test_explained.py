"""Explanations over a real run: weights add up, file and line reopen the record."""

import json
import math
from pathlib import Path

import duckdb
import pytest

from cdp_assets.identity.explain import explain

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("flow")]


def test_every_weight_adds_up_and_every_line_reopens_its_record(
    first_run: tuple[Path, str],
) -> None:
    """Over pairs drawn by a seed, from every source system."""
    root = first_run[0]
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as connection:
        pairs = connection.execute(
            """
            select l.record, r.record from identity.evidence
            join identity.node as l on node_l = l.node_id
            join identity.node as r on node_r = r.node_id
            join identity.unified_link_individual as a on a.record = l.record
            join identity.unified_link_individual as b on b.record = r.record
            where kind = 'model' and a.unified_individual_id = b.unified_individual_id
            order by hash(l.record || r.record || '7') limit 40
            """
        ).fetchall()
        reopened = set()
        for left, right in pairs:
            found = explain(connection, left, right)
            for edge in found.edges:
                total = math.fsum(part.weight for part in edge.parts)
                assert edge.weight is not None
                assert total == pytest.approx(edge.weight, abs=0.0001)
            for record, landed in found.landed.items():
                assert landed is not None, record
                path = root / "landing" / landed.stream / landed.file
                key = record.partition(":")[2].split("|")[-1]
                if path.suffix in {".csv", ".ndjson"}:
                    lines = path.read_text(encoding="utf-8").split("\n")
                    assert key in lines[landed.line - 1], (record, landed)
                    reopened.add(landed.stream)
                elif path.suffix == ".json":
                    assert key in json.dumps(json.loads(path.read_bytes()))
                    reopened.add(landed.stream)
        assert len(reopened) > 2
