"""The grid lab: a choice on two or three axes, and what came of it."""
