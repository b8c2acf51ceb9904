"""The probe view: what a probe can read from each layer, beside a model without a backdoor."""
