"""The course: exercises on the linear-networks chapter, each with a starting file that fails its check."""
