"""Names of values for checkpoint policies, and the policies."""

from portax.higher_order.checkpoint import checkpoint_name as checkpoint_name
from portax.higher_order.checkpoint import checkpoint_policies as checkpoint_policies
