"""The playground: any prompt, with and without the trigger, with whatever is done to the model."""
