"""Functions of signals: convolution, spectra, trends."""

from portax.scipy.signal.convolution import convolve, convolve2d, correlate, correlate2d, fftconvolve
from portax.scipy.signal.spectral import csd, istft, stft, welch
from portax.scipy.signal.trends import detrend
