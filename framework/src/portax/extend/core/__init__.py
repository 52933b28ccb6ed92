"""Programs as data: jaxprs and their parts, how to run and to check one, and every primitive by name."""

from portax.core.checker import check_jaxpr
from portax.core.jaxpr import (
    NO_EFFECTS as no_effects,
)
from portax.core.jaxpr import (
    ClosedJaxpr,
    DropVar,
    Effect,
    Effects,
    Jaxpr,
    Literal,
    Var,
)
from portax.core.jaxpr import (
    Eqn as JaxprEqn,
)
from portax.errors import InconclusiveDimensionOperation, JaxprTypeError
from portax.extend.core import primitives
from portax.extend.core.made import Primitive
from portax.extend.core.programs import (
    concrete_or_error,
    find_top_trace,
    gensym,
    get_opaque_trace_state,
    jaxpr_as_fun,
    jaxprs_in_params,
    mapped_aval,
    new_jaxpr_eqn,
    primal_dtype_to_tangent_dtype,
    set_current_trace,
    subjaxprs,
    take_current_trace,
    unmapped_aval,
    valid_jaxtype,
)
