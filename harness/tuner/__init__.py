"""Finding a near-optimal ``DataLoader`` configuration for a data set with few measurements."""
