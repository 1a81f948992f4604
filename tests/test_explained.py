"""Explanations and outlooks over a real run: they add up, and lead to the source."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from cdp_assets.identity.explain import explain
from cdp_assets.identity.rules import RULESET

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


def test_what_a_stricter_model_would_change_is_told_down_to_the_activations(
    cdp: Callable[..., str], first_run: tuple[Path, str], tmp_path: Path
) -> None:
    """And nothing of the living state is touched."""
    root = first_run[0]
    strict = tmp_path / "strict.yaml"
    text = RULESET.read_text(encoding="utf-8")
    strict.write_text(text.replace("link_weight: 6\n", "link_weight: 12\n"))
    before = (root / "warehouse.duckdb").read_bytes()
    told = cdp(root, "identity", "what-if", str(strict))
    assert "split: " in told
    assert "record_count" in told
    assert "lifetime_value" in told
    assert "promotion_audience" in told.partition("Activations")[2]
    assert (root / "warehouse.duckdb").read_bytes() == before
    same = cdp(root, "identity", "what-if", str(RULESET), "--people-only")
    assert "0 made of several, 0 split" in same
