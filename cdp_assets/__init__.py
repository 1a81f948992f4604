"""An open customer data platform as one Dagster asset graph."""
