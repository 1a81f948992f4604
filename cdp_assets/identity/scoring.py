"""Match weights for pairs of records, by Splink, away from the warehouse.

Splink leaves working tables where it runs and caches per database, so it gets a private
in-memory database, and a fresh API object per call: two linkers on one object would
silently share blocked pairs.
"""

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import duckdb

from cdp_assets.identity.model import MatchModel

if TYPE_CHECKING:
    import pyarrow as pa

# Weights are sums of floats; ten-thousandths of a bit are the same on every machine.
_DIGITS = 4


class Scorer:
    """Scores pairs of ``staged_matchable`` with one model."""

    def __init__(
        self,
        warehouse: duckdb.DuckDBPyConnection,
        private: duckdb.DuckDBPyConnection,
        model: MatchModel,
    ) -> None:
        """Copy the records that will be compared; pairs come later."""
        self.model = model
        self._warehouse = warehouse
        self._private = private
        records = warehouse.sql(
            f"select {', '.join(model.columns())} from staged_matchable"
        ).to_arrow_reader(100_000)
        private.register("incoming", records)
        private.execute("create table record as select * from incoming")
        private.unregister("incoming")

    def score(self, pairs: str, into: str) -> None:
        """Score the pairs ``node_l``, ``node_r`` of one temporary table into another.

        Args:
            pairs: A table of the warehouse connection.
            into: Created there: the pair, ``match_weight`` and ``levels``.
        """
        scored = self._predict() if self._copy_pairs(pairs) else self._nothing()
        self._warehouse.register("scored", scored)
        self._warehouse.execute(
            f"create or replace temp table {into} as select * from scored"
        )
        self._warehouse.unregister("scored")
        self._private.execute("drop table if exists scored; drop table pair")

    def _copy_pairs(self, pairs: str) -> int:
        reader = self._warehouse.sql(
            f"select node_l as join_key_l, node_r as join_key_r from {pairs}"
        ).to_arrow_reader(1_000_000)
        self._private.register("incoming", reader)
        self._private.execute(
            "create or replace table pair as select '0' as match_key, * from incoming"
        )
        self._private.unregister("incoming")
        return int(self._private.execute("select count(*) from pair").fetchall()[0][0])

    def _nothing(self) -> "pa.RecordBatchReader":
        return self._private.sql(
            """
            select 0::bigint as node_l, 0::bigint as node_r, 0::double as match_weight,
                []::integer[] as levels
            where false
            """
        ).to_arrow_reader()

    def _frequency_tables(self) -> dict[str, str]:
        """How frequent names are, as the model froze it; unknown names are average."""
        tables = {}
        for column in self.model.weighed_by_frequency():
            frequencies = self.model.frequencies[column]
            tables[column] = f"frequency_{column}"
            self._private.execute(
                f"""
                create or replace table frequency_{column} as
                select
                    unnest($names::varchar[]) as {column},
                    unnest($shares::double[]) as tf_{column}
                """,
                {"names": list(frequencies), "shares": list(frequencies.values())},
            )
        return tables

    def _predict(self) -> "pa.RecordBatchReader":
        from splink import DuckDBAPI, Linker

        api = DuckDBAPI(self._private)
        records = api.register("record", dataset_display_name="record")
        linker = Linker(records, self.model.settings, log_level=logging.ERROR)
        linker.table_management.register_blocked_pairs_for_predict(
            api.register("pair", dataset_display_name="pair")
        )
        for column, tf in self._frequency_tables().items():
            linker.table_management.register_term_frequency_lookup(
                api.register(tf, dataset_display_name=tf), column
            )
        predicted = linker.inference.predict(warning_mode="never").physical_name
        levels = ", ".join(
            f"({_level_of(f'mw_{name}', weights)})"
            for name, weights in self.model.level_weights().items()
        )
        self._private.execute(
            f"""
            create or replace table scored as
            select
                least(node_id_l, node_id_r) as node_l,
                greatest(node_id_l, node_id_r) as node_r,
                round(match_weight, {_DIGITS}) as match_weight,
                [{levels}] as levels
            from {predicted}
            """
        )
        linker.table_management.delete_tables_created_by_splink_from_db()  # type: ignore[no-untyped-call]
        return self._private.sql("from scored").to_arrow_reader(1_000_000)


def _level_of(column: str, weights: dict[int, float]) -> str:
    """SQL for the level that gave a comparison's weight.

    Splink returns levels only together with every compared column of both records,
    which would be ten times the memory; each level has a weight of its own.
    """
    levels = " ".join(
        f"when abs({column} - ({weight!r})) < 1e-9 then {level}"
        for level, weight in weights.items()
    )
    return f"case {levels} else -1 end"


@contextlib.contextmanager
def open_scorer(
    warehouse: duckdb.DuckDBPyConnection, model: MatchModel
) -> Iterator[Scorer]:
    """Open a private database, and close it.

    It may take half of what the warehouse may: DuckDB grants each database four fifths
    of the machine, and two of them would meet above its size.
    """
    threads, memory, folder = warehouse.execute(
        """
        select current_setting('threads'), current_setting('memory_limit'),
            current_setting('temp_directory')
        """
    ).fetchall()[0]
    number, unit = memory.split()
    with contextlib.closing(duckdb.connect()) as private:
        private.execute("set threads = ?", [threads])
        private.execute("set memory_limit = ?", [f"{float(number) / 2:.2f} {unit}"])
        private.execute("set temp_directory = ?", [folder])
        yield Scorer(warehouse, private, model)
