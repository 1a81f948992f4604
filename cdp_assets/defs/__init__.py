"""The only modules that import Dagster; one per stage, wiring only."""
