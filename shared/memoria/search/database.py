"""The search functions of the database, with refusals as errors. See docs/search.md."""

from typing import TYPE_CHECKING, Any, NoReturn

from memoria.errors import InvalidRequest, StoreUnavailable, StoreUnreachable
from memoria.search.refusals import (
    ConsentRequired,
    EventArchived,
    ModelChanged,
    NotGroupedYet,
    PersonLimit,
    TooManySearches,
    UnknownSearch,
)
from memoria.store.client import rpc
from memoria.store.jobs import vector_text

if TYPE_CHECKING:
    from supabase import Client

    from memoria.search.likeness import Rule
    from memoria.search.request import Seeker
    from memoria.search.selfie import Selfie

_REFUSALS = {
    "not_found": UnknownSearch("this search is not open"),
    "guest_required": InvalidRequest("guest: is missing: a random id that the page keeps"),
    "consent_required": ConsentRequired("consent to the current text is required"),
    "event_archived": EventArchived("this event is archived"),
    "not_grouped_yet": NotGroupedYet("the event's photos are not grouped yet: try again later"),
    "model_changed": ModelChanged("the event is being moved to another model: try again later"),
    "person_limit": PersonLimit("this guest already searched for as many people as one may"),
}


class SearchStore:
    """Calls of the database's search functions; safe to share between threads."""

    def __init__(self, client: "Client") -> None:
        """Talk through an open supabase client."""
        self._client = client

    def begin(self, seeker: "Seeker", consent: str | None) -> tuple[str, str]:
        """Count the search and note the consent -> (search id, event id). Raises Refused."""
        # not repeated by itself: each call counts
        answer = self._call("memoria_begin_search", seeker, retries=0, p_consent=consent)
        return answer["search_id"], answer["event_id"]

    def refuse(self, search_id: str, code: str) -> None:
        """Note in the audit why nothing was searched for."""
        self._rpc("memoria_refuse_search", {"p_search_id": search_id, "p_code": code})

    def find(self, search_id: str, selfie: "Selfie", model: str, rule: "Rule") -> dict[str, Any]:
        """Whom the selfie is alike, with their photos. Raises Refused.

        Not repeated by itself where the answer is lost: what was begun has ended, and a second call
        would say that there is no such search. The guest is told to try again, from the start.
        """
        measured = {"weight": selfie.weight, "mean_length": selfie.mean_length}
        params = {
            "p_search_id": search_id,
            "p_embedding": vector_text(selfie.vector),
            "p_model": model,
            "p_rule": rule.as_json() | measured,
        }
        return _answered(self._rpc("memoria_search", params, retries=0))

    def again(self, search_id: str, seeker: "Seeker") -> dict[str, Any]:
        """Today's photos of the same matches. Raises Refused."""
        return self._call("memoria_search_again", seeker, p_search_id=search_id)

    def request_removal(self, search_id: str, seeker: "Seeker") -> dict[str, Any]:
        """Ask the host to take the guest out of the event. Raises UnknownSearch."""
        return self._call("memoria_request_removal", seeker, p_search_id=search_id)

    def _call(
        self, function: str, seeker: "Seeker", *, retries: int = 3, **params: Any
    ) -> dict[str, Any]:
        who = {
            "p_token_hash": seeker.token_hash,
            "p_guest": seeker.guest,
            "p_event_id": seeker.event_id,
        }
        return _answered(self._rpc(function, who | params, retries=retries))

    def _rpc(self, function: str, params: dict[str, Any], *, retries: int = 3) -> Any:
        """As `rpc` does, but who made up a token is not told where the database is."""
        try:
            return rpc(self._client, function, params, retries=retries)
        except StoreUnreachable as exc:
            raise StoreUnavailable("the database could not be reached") from exc


def _answered(answer: dict[str, Any]) -> dict[str, Any]:
    outcome = answer["outcome"]
    if outcome == "too_many_searches":
        raise TooManySearches(answer["message"], int(answer["retry_after"]))
    if outcome in _REFUSALS:
        _refuse(outcome)
    return dict(answer)


def _refuse(outcome: str) -> NoReturn:
    refusal = _REFUSALS[outcome]
    raise type(refusal)(*refusal.args)  # a new one: an error that is raised keeps its traceback
