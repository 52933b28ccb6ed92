"""Special functions, in the shape of SciPy's."""

from portax.numpy.softmax import logsumexp
from portax.scipy.special.bessel import bessel_jn, i0, i0e, i1, i1e
from portax.scipy.special.entropy import boxcox, boxcox1p, entr, expit, kl_div, logit, rel_entr, xlog1py, xlogy
from portax.scipy.special.gamma import (
    bernoulli,
    beta,
    betainc,
    betaln,
    comb,
    digamma,
    factorial,
    gamma,
    gammainc,
    gammaincc,
    gammaln,
    gammasgn,
    loggamma,
    multigammaln,
    poch,
    polygamma,
    zeta,
)
from portax.scipy.special.hypergeometric import hyp1f1, hyp2f1
from portax.scipy.special.integrals import exp1, expi, expn, fresnel, sici, spence
from portax.scipy.special.legendre import lpmn, lpmn_values, sph_harm_y
from portax.scipy.special.normal import dawsn, erf, erfc, erfcx, erfinv, log_ndtr, ndtr, ndtri, owens_t, wofz
from portax.scipy.special.softmax import log_softmax, softmax
