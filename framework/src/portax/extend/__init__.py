"""What libraries that transform programs themselves are made with."""

from portax.extend import core
