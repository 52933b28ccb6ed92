"""Functions of images."""

from portax.image.scaling import ResizeMethod, resize, scale_and_translate
