"""The generator of the sample sources and of their truth."""
