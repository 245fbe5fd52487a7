"""All functions, wrong and sound."""

from unseen import sound_functions, wrong_formulas, wrong_functions
from unseen.specimen import SOUND, WRONG

__all__ = ["SOUND", "WRONG", "sound_functions", "wrong_formulas", "wrong_functions"]
