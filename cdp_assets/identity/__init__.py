"""Which source records are one person: rules, evidence, people, stable ids."""
