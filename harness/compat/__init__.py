"""The private names of dependencies that the harness uses, each with the public way that is missing.

No other module uses one, so that a new release of a dependency is looked through here: :mod:`harness.compat.torch`,
:mod:`harness.compat.numpy`, :mod:`harness.compat.hypothesis`, and :mod:`harness.compat.python` for the standard
library. :mod:`harness.compat.installed` says where the dependencies are.
"""
