"""The job that plays themselves ask for."""

from datetime import timedelta

from veza.core.jobs import JobKind, NoPayload

ADD_UP = JobKind("plays.add_up", NoPayload)
# The more plays there are by then, the less the sums of each cost.
ADD_UP_AFTER = timedelta(seconds=5)
