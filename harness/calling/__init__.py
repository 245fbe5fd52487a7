"""Load, call and watch a user's function.

``question`` declares the options of a check. ``discovery`` finds and imports what its ``target`` names. ``adapter``
calls functions with another signature or on other arrays, and ``known`` lists the functions of libraries with their
adapters. ``model`` and ``device`` handle modules and accelerators, and ``modes`` the settings of torch and
``torch.compile``. ``watch`` notices and undoes side effects.

Laws reach a call through its ``host``: this process, or an isolated one.
"""
