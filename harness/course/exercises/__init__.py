"""The exercises, one for each module; a new module is a new exercise."""
