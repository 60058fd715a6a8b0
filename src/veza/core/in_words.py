"""What operators are told of an error: they can mend what callers of the API are only told to wait for."""

from veza.core.errors import VezaError
from veza.core.service_urls import why
from veza.core.storage import StorageFull, StorageUnavailable


def in_words(problem: VezaError) -> str:
    """In a line, which part cannot do it, why, and what to do: of two storages either may be the one."""
    match problem:
        case StorageFull(place=place):
            return f"there is no room left in {place or 'the storage'}: make some."
        case StorageUnavailable(place=place):
            advice = (
                "Look at bucket, AWS_ENDPOINT_URL, region and keys."
                if place.startswith("s3:")
                else "Is its disk mounted, and may this user write there?"
            )
            return f"{place or 'the storage'} cannot be used: {why(problem)}. {advice}"
    return problem.message if problem.__cause__ is None else f"{problem.message} ({why(problem)})"
