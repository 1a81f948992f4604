"""Data actions: a message when a condition on a person becomes true."""
