"""Activation: planned changes, an outbox, delivery to destinations, receipts."""
