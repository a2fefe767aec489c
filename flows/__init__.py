"""The flows, and the command that runs them."""

from pipelines.loopback import bypass_proxies
from pipelines.train.devices import keep_freed_memory

# Here, since this comes before NumPy in every process that trains.
keep_freed_memory()
# Here, since libraries read the proxies when they are imported or first connect.
bypass_proxies()
