"""Names of values for checkpoint policies, the policies and their answers, and what a derivative keeps."""

from portax.higher_order.checkpoint import Offloadable as Offloadable
from portax.higher_order.checkpoint import Recompute as Recompute
from portax.higher_order.checkpoint import Saveable as Saveable
from portax.higher_order.checkpoint import checkpoint_name as checkpoint_name
from portax.higher_order.checkpoint import checkpoint_policies as checkpoint_policies
from portax.higher_order.residuals import print_saved_residuals as print_saved_residuals
