"""How somebody's function is loaded, called and watched.

``discovery`` loads what a target names, ``adapter`` calls what has another signature or computes on other arrays,
``model``, ``device`` and ``compiler`` know modules, accelerators and ``torch.compile``. ``watch`` looks at what a call
does besides answering, ``state`` puts back what it changed, and ``location`` says at which line of its author's it was.

Laws reach a call through its ``surroundings``: this process, or another one, in which a ``callee`` is ``answering`` on
a ``wire``. What runs there imports nothing of ours but by relative names: it is loaded under another.
"""
