"""The ablation lab: which heads carry the backdoor, by taking them away."""
