"""Laws and contracts as data, the inputs and rays they are held on, and the laws that every operation has."""
