"""Try it on your own truth: a labelled file through the very path of the product."""
