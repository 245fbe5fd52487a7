"""The command ``learn``: exercises on the chapter, the answers and progress of a student, and the checks."""
