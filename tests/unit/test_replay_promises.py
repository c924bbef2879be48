"""What docs/replay.md promises of sending a session: each sentence has a row here, and each row its tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
R, U = "tests/integration/test_replay.py", "tests/unit/engine/replay/"
C, P = "tests/integration/test_replay_chain.py", f"{U}chain/"
SENDS = f"{U}send/test_request.py"

# The beginning of a sentence → the tests that hold it, as FILE::NAME.
PROMISES: dict[str, tuple[str, ...]] = {
    "The scheme, host and port of each request are replaced": (
        f"{U}send/test_target.py::test_the_host_is_that_of_the_server_unless_it_is_to_stay",
    ),
    "Everything else is sent as recorded": (
        f"{R}::test_a_shop_answers_a_replay_as_it_answered_its_test_suite",
        f"{R}::test_bodies_are_encoded_and_framed_as_recorded",
        f"{U}send/test_target.py::test_bodies_are_framed_as_they_were",
        f"{U}send/test_target.py::test_values_that_are_no_latin_1_are_sent_as_utf_8",
    ),
    "A body that had a content coding": (f"{U}send/test_target.py::test_bodies_are_encoded_again",),
    "Header fields that belong to a connection": (f"{U}send/test_target.py::test_what_belongs_to_a_connection_is_not_copied",),
    "For a session with several hosts": (f"{R}::test_hosts_are_mapped_and_others_are_named",),
    "**Order.** Each recorded client connection": (f"{U}send/test_sender.py::test_each_connection_is_a_client_of_its_own",),
    "On a connection, a request waits for the requests": (
        f"{U}send/test_sender.py::test_a_request_waits_for_those_that_were_over_when_it_began",
        f"{R}::test_what_was_concurrent_is_and_concurrency_bounds_it",
    ),
    "Between connections, a request waits only": (
        f"{R}::test_the_order_within_a_connection_is_kept_and_connections_stay_apart",
        f"{C}::test_a_request_of_another_connection_waits_for_its_value",
    ),
    "**Pace.**": (f"{U}send/test_pace.py::test_due", f"{R}::test_the_pace_is_kept_and_said"),
    "`2x` in half the time": (f"{U}send/test_pace.py::test_due", f"{R}::test_the_pace_is_kept_and_said"),
    "`50/s` evenly": (f"{U}send/test_pace.py::test_due", f"{U}send/test_sender.py::test_a_rate_is_kept"),
    "`max` as soon as": (f"{U}send/test_sender.py::test_so_many_at_once",),
    "At the end, the achieved pace": (f"{R}::test_the_pace_is_kept_and_said", f"{U}send/test_pace.py::test_fidelity"),
    "Requests that depend on each other": (f"{C}::test_a_request_of_another_connection_waits_for_its_value",),
    "**HTTP/2** is offered": (
        f"{R}::test_http2_where_it_was_recorded",
        f"{U}send/test_target.py::test_http2_where_it_was_recorded_and_tls_is_spoken",
    ),
    "**WebSockets** are replayed too": (
        f"{R}::test_websocket_messages_wait_for_the_recorded_answers",
        f"{U}send/test_websocket.py::test_the_server_closes_as_it_did",
    ),
    "The contents of server messages": (f"{U}send/test_websocket.py::test_messages_wait_for_the_recorded_answers",),
    "**Clients that disconnected.**": (
        f"{R}::test_a_client_that_left_leaves_again",
        f"{SENDS}::test_a_client_that_left_in_the_answer_leaves_again",
    ),
    "**Part of a session.**": (f"{R}::test_only_what_is_looked_for_is_sent_and_compared",),
    "**Comparison.**": (f"{R}::test_differences_are_an_exit_code",),
    "Requests that were not sent": (f"{R}::test_only_what_is_looked_for_is_sent_and_compared",),
    "Without `-o`, the responses": (f"{R}::test_differences_are_an_exit_code",),
    "**The new session**": (f"{R}::test_a_shop_answers_a_replay_as_it_answered_its_test_suite",),
    "Responses are recorded as": (f"{R}::test_a_shop_answers_a_replay_as_it_answered_its_test_suite",),
    "**Failures.**": (f"{R}::test_slow_servers", f"{R}::test_dead_servers", f"{R}::test_servers_that_reset"),
    "A response that never ends": (f"{R}::test_servers_that_never_stop",),
    "An idempotent request": (
        f"{R}::test_an_idle_connection_that_the_server_closes_is_not_a_failure",
        f"{SENDS}::test_an_idle_connection_may_be_gone",
    ),
    "A server issues other tokens": (f"{C}::test_another_server_is_visited_with_its_own_values",),
    "`replay` *chains* such values": (f"{C}::test_another_server_is_visited_with_its_own_values",),
    "At the end it lists": (f"{C}::test_another_server_is_visited_with_its_own_values",),
    "`--dry-run` lists the chained values": (
        f"{C}::test_a_dry_run_says_what_would_be_chained",
        f"{C}::test_without_chaining_everything_is_sent_as_recorded",
        f"{P}test_chains.py::test_the_new_value_is_sent_and_told",
    ),
    "**Places.** In responses": (
        f"{P}test_answer_values.py::test_values_of_bodies", f"{P}test_answer_values.py::test_values_of_heads",
    ),
    "In requests, values are replaced": (
        f"{P}test_slots.py::test_targets", f"{P}test_slots.py::test_headers",
        f"{P}test_slots.py::test_messages_of_websockets",
    ),
    "The rest of a request": (
        f"{P}test_slots.py::test_bodies_keep_everything_else",
        "tests/property/test_chain.py::test_equal_values_change_nothing_that_is_meant",
    ),
    "**Values.** A value is chained": (
        f"{P}test_plan.py::test_what_the_client_said_first_is_its_own", f"{P}test_plan.py::test_what_came_from_an_answer",
    ),
    "| a generated value": (f"{P}test_names.py::test_what_looks_generated_is_known_wherever_it_stands",),
    "| an `id`": (
        f"{P}test_plan.py::test_what_came_from_an_answer", f"{P}test_plan.py::test_what_is_equal_by_accident",
    ),
    "| a name that ends in": (f"{P}test_names.py::test_other_values_need_a_name",),
    "| a cookie": (f"{P}test_plan.py::test_what_came_from_an_answer",),
    "| `ETag`": (f"{P}test_plan.py::test_what_came_from_an_answer", f"{P}test_slots.py::test_headers"),
    "| a link": (f"{P}test_chains.py::test_links_are_followed_where_they_lead_to_the_same_kind_of_place",),
    "Values such as `1`, `true`, `en`": (f"{P}test_plan.py::test_what_is_equal_by_accident",),
    "An id keeps its recorded value": (
        f"{P}test_chains.py::test_the_same_thing_elsewhere_in_a_list_is_still_the_same_thing",
    ),
    "Places that `--header` and `--set` fill": (f"{C}::test_what_somebody_sets_is_not_chained",),
    "**Waiting.**": (
        f"{C}::test_a_request_of_another_connection_waits_for_its_value",
        f"{P}test_chains.py::test_it_does_not_wait_for_ever",
    ),
    "If the new response lacks the value": (f"{C}::test_a_value_that_the_new_answer_does_not_have",),
    "**Limits.**": (
        f"{P}test_plan.py::test_long_bodies_are_not_looked_into",
        f"{P}test_chains.py::test_long_answers_are_looked_through_up_to_a_megabyte",
    ),
    "The 100,000 values": (f"{P}test_plan.py::test_what_is_remembered_is_bounded",),
    "Sessions from stdin or a pipe": (f"{C}::test_what_comes_from_stdin_is_not_chained",),
    "Not chained are values that are computed": (f"{P}test_plan.py::test_an_abort_is_no_source",),
    "Recorded secrets are placeholders": (f"{U}session/test_editable.py::test_marks_are_found_and_named",),
    "A placeholder that occurs in a response": (
        f"{C}::test_redacted_values_are_the_new_ones", f"{C}::test_a_value_that_the_new_answer_does_not_have",
    ),
    "A placeholder under the name": (f"{P}test_plan.py::test_a_mark_is_known_by_its_name_where_the_answer_shows_the_value",),
    "Before anything is sent": (f"{R}::test_marks_are_listed_filled_or_left_out",),
    "`--header 'Authorization": (f"{R}::test_marks_are_listed_filled_or_left_out", f"{R}::test_the_host_can_be_said"),
    "Bearer …'` sets a header": (f"{U}session/test_editable.py::test_headers_are_set_added_and_removed", f"{R}::test_wrong_usage"),
    "`--set SELECTOR=VALUE`": (f"{U}session/test_editable.py::test_every_kind_of_selector_fills_what_is_there_and_nothing_else",),
    "Selectors are `header:NAME`": (f"{U}session/test_editable.py::test_every_kind_of_selector_fills_what_is_there_and_nothing_else",),
    "In messages of WebSockets": (f"{U}send/test_send.py::test_messages_are_filled_where_that_is_possible",),
    "Requests that still contain a placeholder": (f"{R}::test_marks_are_listed_filled_or_left_out",),
    "Requests with truncated bodies": (f"{U}session/test_editable.py::test_a_body_that_was_cut_cannot_be_sent",),
    "`--as json` prints one JSON object": (f"{R}::test_what_was_sent_as_json",),
    "A session from stdin": (
        f"{R}::test_a_session_from_stdin", f"{C}::test_what_comes_from_stdin_is_not_chained",
    ),
}  # fmt: skip


def promises() -> list[str]:
    """The sentences of the section, and the rows of its table."""
    page = (ROOT / "docs" / "replay.md").read_text(encoding="utf-8")
    section = page.partition("## Send a session to a server")[2].partition("## Answer from a session")[0]
    section = re.sub(r"```.*?```|<!--.*?-->|^###[^\n]*$", "", section, flags=re.DOTALL | re.MULTILINE)
    found: list[str] = []
    for paragraph in re.split(r"\n\s*\n", section):
        if paragraph.strip().startswith("|"):
            found += paragraph.strip().splitlines()[2:]
        else:
            found += re.split(r"(?<=[.:;]) (?=[A-Z`*\[])", " ".join(paragraph.split()))
    return [one for one in found if one]


def test_every_sentence_has_a_row_and_every_row_a_sentence() -> None:
    sentences = promises()
    assert [one for one in sentences if not one.startswith(tuple(PROMISES))] == []
    assert [row for row in PROMISES if not any(one.startswith(row) for one in sentences)] == []


@pytest.mark.parametrize("row", PROMISES)
def test_every_row_has_its_tests(row: str) -> None:
    for test in PROMISES[row]:
        path, _, name = test.partition("::")
        assert re.search(rf"^(?:async )?def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), test
