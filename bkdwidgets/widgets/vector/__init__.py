"""The vector lab: the backdoor as one direction, to be turned by hand."""
