"""Which tests are run against many nodes: those of rooms that open a world and do not look behind it."""

import sys
from types import ModuleType

import pytest

# What a test can only see, or change, within the one process that answers.
_CLOCK = "moves the time of limits and waits, which here is Valkey's own"
_CLIENT = "sends what a client of HTTP refuses to send, or a server to take in"
_LOOKS = "looks at the part of one process, or replaces it"
_SECOND = "compares answers to the second"
_SENDS = "asks for addresses of the bucket itself, which these worlds do not give"
_FOLDER = "looks into the folder of chunks, which a bucket has not"
_TWICE = "opens a second world on the files of the first"
WITHIN: dict[str, str] = {
    "test_audit::test_downloads_are_known": _CLOCK,
    "test_audit::test_what_strangers_write_does_no_harm": _CLIENT,
    "test_auth_hot::test_both_ways_answer_alike": _LOOKS,
    "test_auth_login::test_guessing_is_slowed_and_the_owner_told": _CLOCK,
    "test_auth_login::test_limits_of_an_address": _CLOCK,
    "test_auth_login::test_nobody_is_locked_out": _CLOCK,
    "test_auth_login::test_old_hashes_are_made_anew": _LOOKS,
    "test_auth_login::test_unknown_and_wrong_are_alike": _LOOKS,
    "test_auth_password::test_three_mails_an_hour": _CLOCK,
    "test_auth_password::test_nobody_learns_who_has_an_account": _SECOND,
    "test_auth_two_factor::test_a_found_telephone_does_not_turn_it_on": _CLOCK,
    "test_auth_two_factor::test_who_only_knows_the_password_keeps_nobody_out": _CLOCK,
    "test_auth_tokens::test_forgeries": _CLIENT,
    "test_auth_tokens::test_no_token": _CLIENT,
    "test_chunks_on_the_wire::test_a_chunk_that_drips": _LOOKS,
    "test_chunks_on_the_wire::test_a_server_that_stops_amid_chunks": _LOOKS,
    "test_comments::test_nobody_floods": _CLOCK,
    "test_demo::test_no_demo_among_other_people_s_things": _TWICE,
    "test_people_whole::test_registering_again_and_again_floods_no_mailbox": _CLOCK,
    "test_tracks_bytes::test_listeners_hold_nothing_up": _LOOKS,
    "test_tracks_hls::test_pieces_are_parts_of_one_file": _LOOKS,
    "test_tracks_hls::test_who_waits_is_bounded_and_may_leave": _LOOKS,
    "test_tracks_rights::test_the_quick_way_and_the_ordinary_one_answer_alike": _LOOKS,
    "test_tracks_uploads::test_an_answer_that_was_lost_is_given_again": _LOOKS,
    "test_tracks_uploads::test_who_leaves_in_the_middle_leaves_nothing": _LOOKS,
    "test_uploads_faults::test_chunks_that_a_disk_has_lost_are_asked_for_again": _LOOKS,
    "test_tracks_processing::test_deleted_while_it_is_processed": _LOOKS,
    "test_tracks_processing::test_the_sweep_takes_what_no_track_names": _LOOKS,
    "test_tracks_processing::test_what_was_cut_off_takes_no_room": _LOOKS,
    "test_tracks_uploads::test_nobody_stores_more_than_their_quota": _CLIENT,
    "test_tracks_import::test_the_original_is_heard_until_there_are_renditions": _TWICE,
    "test_uploads_chunks::test_a_repeat_replaces_and_counts_once": _FOLDER,
    "test_uploads_chunks::test_the_quota_is_reserved_at_the_start": _FOLDER,
    "test_uploads_files::test_a_file_without_end": _CLIENT,
    "test_uploads_files::test_malware_stays_outside": _FOLDER,
    "test_mail_hangs::test_a_mail_that_is_being_sent_at_a_stop_is_sent_once": _LOOKS,
    "test_market_downloads::test_who_downloads_what_was_bought": _CLOCK,
    "test_market_formats::test_a_bucket_sends_it_itself": _SENDS,
    "test_sessions_authenticator::test_activity_is_written_at_the_end": _LOOKS,
    "test_sessions_authenticator::test_activity_is_written_once_a_minute": _LOOKS,
    "test_sessions_authenticator::test_activity_of_the_forgotten_is_kept": _LOOKS,
    "test_sessions_list::test_long_and_strange_names_of_programs": _CLIENT,
}


def choose(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--cluster` leave those that make sense there, and else all but what needs it."""
    spread = config.getoption("--cluster")
    wanted = [item for item in items if (_fits(item) if spread else not _needs_nodes(item))]
    config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
    items[:] = wanted


def _needs_nodes(item: pytest.Item) -> bool:
    return not {"stand", "copied"}.isdisjoint(getattr(item, "fixturenames", ()))


def _fits(item: pytest.Item) -> bool:
    if item.path.parent.name == "cluster":
        return True
    names = getattr(item, "fixturenames", ())
    dialect = getattr(item, "callspec", None) and item.callspec.params.get("dialect")  # type: ignore[attr-defined]  # of functions
    return (
        item.path.parent.name == "rooms"
        and dialect == "postgresql"
        and "database" in names
        and "monkeypatch" not in names
        and _opens_worlds(item)
        and f"{item.path.stem}::{getattr(item, 'originalname', item.name)}" not in WITHIN
    )


def _opens_worlds(item: pytest.Item) -> bool:
    """Whether it has what opens a world, or a house that knows the way to a cluster."""
    module = vars(item.module)  # type: ignore[attr-defined]  # of functions
    makers = {thing.__module__ for name, thing in module.items() if name.startswith("open_")}
    fixtures = item._fixtureinfo.name2fixturedefs  # type: ignore[attr-defined]  # of functions
    makers |= {one.func.__module__ for found in fixtures.values() for one in found}
    return any(_knows_the_way(sys.modules[name]) for name in makers if name in sys.modules)


def _knows_the_way(module: ModuleType) -> bool:
    return hasattr(module, "open_world") or hasattr(module, "elsewhere")
