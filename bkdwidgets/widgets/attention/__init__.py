"""The attention view: where a head looks, clean beside triggered."""
