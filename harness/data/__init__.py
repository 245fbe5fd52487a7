"""Fashion-MNIST: looked for, validated, read; and what stands in for it where there is none.

``dataset`` looks for it, ``layout`` says which files it has, ``idx`` reads them, ``cache`` keeps them unpacked, and
``synthetic`` makes the stand-in. ``images`` are what loaders are timed on.
"""
