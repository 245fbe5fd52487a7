"""Finding a near-best ``DataLoader`` configuration for somebody's data set with few measurements."""
