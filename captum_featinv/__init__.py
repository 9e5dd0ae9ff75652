"""What does this filter of this CNN extract? Feature map inversion for Captum.

The public names stand in `__init__.pyi` and are imported when they are first asked for (SPEC 1).
"""

from importlib.metadata import version

import lazy_loader

from captum_featinv._moved import keep_old_names

__version__ = version("captum_featinv")

__getattr__, __dir__, _names = lazy_loader.attach_stub(__name__, __file__)
__all__ = [*_names, "__version__"]  # noqa: PLE0604

keep_old_names(__name__)
