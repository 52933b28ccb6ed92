"""How arrays lie in memory, as ``Array.format`` and compiled programs tell it."""

from portax.runtime.formats import Format as Format
from portax.runtime.formats import Layout as Layout
