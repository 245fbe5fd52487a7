"""Running loaders: what they deliver in what time, what they use, and what they do where they do not deliver."""
