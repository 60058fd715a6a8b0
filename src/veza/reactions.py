"""What follows from what: every event that has consequences, and every job there is, in one place."""

from collections.abc import Sequence
from datetime import timedelta

from veza.access.signing import Signer
from veza.core import idempotency
from veza.core.events import AtOnce, Outbox, Reactions
from veza.core.hearing import Hearer
from veza.core.jobs import Job, JobKind, NoPayload
from veza.core.postage import Postage
from veza.core.worker import Task
from veza.media import MediaLimits
from veza.parts import Parts
from veza.rooms.accounts import events as account_events
from veza.rooms.accounts.closing import closing
from veza.rooms.accounts.jobs import AccountJobs
from veza.rooms.analytics import jobs as analytics_jobs
from veza.rooms.audit import jobs as audit_jobs
from veza.rooms.audit.detectors import detectors
from veza.rooms.audit.sealing import Sealer
from veza.rooms.chat import events as chat_events
from veza.rooms.chat import jobs as chat_jobs
from veza.rooms.chat import kinds as chat_kinds
from veza.rooms.chat.opening import follow_thing as follow_room
from veza.rooms.comments import events as comment_events
from veza.rooms.comments import jobs as comment_jobs
from veza.rooms.following import events as following_events
from veza.rooms.following import jobs as following_jobs
from veza.rooms.likes import events as like_events
from veza.rooms.likes import jobs as like_jobs
from veza.rooms.marketplace import events as market_events
from veza.rooms.marketplace import kinds as market_kinds
from veza.rooms.marketplace.copying import CopyJobs
from veza.rooms.marketplace.following import follow_file as withdraw_file
from veza.rooms.marketplace.following import follow_track as withdraw_track
from veza.rooms.marketplace.jobs import MarketJobs
from veza.rooms.marketplace.payment_jobs import PaymentJobs
from veza.rooms.marketplace.service_jobs import ServiceJobs
from veza.rooms.notifications import jobs as notification_jobs
from veza.rooms.notifications.kinds import FORGET_USER, PART, RELEASE, TELL
from veza.rooms.notifications.mailing import Mailing
from veza.rooms.notifications.unsubscribing import Unsubscribing
from veza.rooms.playlists import events as playlist_events
from veza.rooms.playlists import jobs as playlist_jobs
from veza.rooms.playlists import parting
from veza.rooms.plays import jobs as play_jobs
from veza.rooms.recommendations import jobs as recommendation_jobs
from veza.rooms.reports.service import follow_message
from veza.rooms.search import jobs as search_jobs
from veza.rooms.search.following import follow_playlist, follow_track, follow_user
from veza.rooms.sessions import events as session_events
from veza.rooms.sessions import jobs as session_jobs
from veza.rooms.sessions.ends import end_all
from veza.rooms.tracks import counts as track_counts
from veza.rooms.tracks import events as track_events
from veza.rooms.tracks import withholding
from veza.rooms.tracks.jobs import TrackJobs
from veza.rooms.uploads import events as upload_events
from veza.rooms.uploads.jobs import UploadJobs
from veza.rooms.webhooks import events as webhook_events
from veza.rooms.webhooks import kinds as webhook_kinds
from veza.rooms.webhooks.jobs import HookJobs
from veza.rooms.webhooks.raising import Raiser

PURGE_ANSWERS = JobKind("core.purge_answers", NoPayload, every=timedelta(hours=1))

# What follows a suspension and its end: each room closes what it has of somebody, or opens it.
CLOSING = [withholding.CLOSE_USER, playlist_jobs.CLOSE_USER, market_kinds.CLOSE_USER]

REACTIONS: Reactions = {
    session_events.RefreshReused: [session_jobs.SEND_ALERT, TELL],
    session_events.LoginSlowed: [session_jobs.SEND_ALERT, TELL],
    session_events.TwoFactorEnabled: [session_jobs.SEND_ALERT, TELL],
    session_events.TwoFactorDisabled: [session_jobs.SEND_ALERT, TELL],
    session_events.TwoFactorReset: [session_jobs.SEND_ALERT, TELL],
    session_events.RecoveryCodeUsed: [session_jobs.SEND_ALERT, TELL],
    session_events.PasswordChanged: [session_jobs.SEND_ALERT, TELL],
    account_events.UserDeleted: [
        following_jobs.FORGET_USER,
        FORGET_USER,
        market_kinds.REFUND_UNDELIVERED,
        chat_kinds.FORGET_USER,
    ],
    account_events.UserSuspended: CLOSING,
    account_events.UserRestored: CLOSING,
    track_events.TrackDeleted: [
        like_jobs.FORGET_TRACK,
        play_jobs.FORGET_TRACK,
        comment_jobs.FORGET_TRACK,
        playlist_jobs.FORGET_TRACK,
    ],
    track_events.TrackPublished: [RELEASE],
    track_events.TrackFailed: [TELL],
    like_events.TrackLiked: [TELL],
    like_events.TrackUnliked: [TELL],
    comment_events.TrackCommented: [TELL],
    comment_events.CommentDeleted: [TELL],
    following_events.UserFollowed: [TELL],
    following_events.UserUnfollowed: [TELL],
    following_events.UserBlocked: [PART, chat_kinds.LOOK_AGAIN],
    following_events.UserUnblocked: [chat_kinds.LOOK_AGAIN],
    account_events.UsernameChanged: [chat_kinds.LOOK_AGAIN],
    account_events.RoleChanged: [chat_kinds.LOOK_AGAIN],
    chat_events.MessageSent: [TELL],
    chat_events.RoomDeleted: [chat_kinds.FORGET_ROOM],
    playlist_events.PlaylistFollowed: [TELL],
    playlist_events.PlaylistUnfollowed: [TELL],
    playlist_events.PlaylistCollaboratorAdded: [TELL],
    playlist_events.PlaylistCollaboratorRemoved: [TELL],
    playlist_events.PlaylistDeleted: [playlist_jobs.FORGET_PLAYLIST],
    market_events.OrderCompleted: [market_kinds.SEND_RECEIPT, TELL],
    market_events.OrderCancelled: [market_kinds.SEND_CANCELLED],
    market_events.OrderRefunded: [market_kinds.SEND_REFUND],
    webhook_events.WebhookDisabled: [webhook_kinds.SEND_DISABLED, TELL],
    market_events.ServiceOrdered: [market_kinds.TELL_OF_SERVICE],
    market_events.ServiceDelivered: [market_kinds.TELL_OF_SERVICE],
    market_events.RevisionAsked: [market_kinds.TELL_OF_SERVICE],
    market_events.ServiceAccepted: [market_kinds.TELL_OF_SERVICE],
}

# What is done in the transaction itself, for it must be true with the commit.
AT_ONCE: AtOnce = {
    account_events.UserRegistered: [follow_user],
    account_events.UsernameChanged: [follow_user],
    account_events.UserDeleted: [follow_user],
    account_events.UserSuspended: [end_all, follow_user],
    account_events.UserRestored: [follow_user],
    following_events.UserBlocked: [parting.part],
    playlist_events.PlaylistCreated: [follow_playlist],
    playlist_events.PlaylistUpdated: [follow_playlist, follow_room],
    playlist_events.PlaylistDeleted: [follow_playlist, follow_room],
    playlist_events.PlaylistCollaboratorRemoved: [follow_room],
    track_events.TrackProcessed: [
        playlist_jobs.follow_track,
        follow_track,
        notification_jobs.tell_of_processed,
    ],
    track_events.TrackUpdated: [playlist_jobs.follow_track, follow_track, follow_room],
    track_events.TrackFailed: [withdraw_track, playlist_jobs.follow_track, follow_track, follow_room],
    track_events.TrackWithheld: [withdraw_track, playlist_jobs.follow_track, follow_track, follow_room],
    track_events.TrackRestored: [playlist_jobs.follow_track, follow_track],
    track_events.TrackDeleted: [
        withdraw_track,
        follow_track,
        notification_jobs.forget_release,
        follow_room,
    ],
    upload_events.FileDeleted: [withdraw_file],
    chat_events.MessageRemoved: [follow_message],
}


def outbox() -> Outbox:
    """What writes down events, and sees to all that follows from them."""
    return Outbox(REACTIONS, AT_ONCE, [Raiser().raise_all])


def hearers(parts: Parts) -> Sequence[Hearer]:
    """What hears events many at a time."""
    return [notification_jobs.NotificationJobs(parts.database, parts.live).hearer()]


def tasks(parts: Parts) -> Sequence[Task]:
    """Every kind of job, and what does it."""
    database, base_url = parts.database, parts.settings.base_url
    postage = Postage(parts.limiter)

    async def purge_answers(_job: Job, _told: NoPayload) -> None:
        await idempotency.purge(database)

    return [
        *AccountJobs(database, parts.storage, parts.mailer, base_url).tasks(),
        *session_jobs.tasks(database, parts.mailer, base_url, postage),
        *TrackJobs(database, parts.storage, MediaLimits()).tasks(),
        *UploadJobs(database, parts.storage, parts.chunks).tasks(),
        closing(database, withholding.CLOSE_USER, withholding.close),
        *track_counts.tasks(database),
        *following_jobs.tasks(database),
        *like_jobs.tasks(database),
        *play_jobs.tasks(database),
        *comment_jobs.tasks(database),
        *playlist_jobs.tasks(database, parts.storage),
        *CopyJobs(database, parts.storage, MediaLimits()).tasks(),
        *MarketJobs(database, parts.mailer, base_url, postage).tasks(),
        *PaymentJobs(database, parts.providers).tasks(),
        *HookJobs(database, parts.mailer, base_url, postage).tasks(),
        *ServiceJobs(database, parts.mailer, base_url, postage).tasks(),
        *search_jobs.tasks(database),
        *analytics_jobs.tasks(database),
        *notification_jobs.NotificationJobs(database, parts.live).tasks(),
        *Mailing(database, parts.mailer, base_url, Unsubscribing(Signer(parts.keyring), base_url)).tasks(),
        *chat_jobs.tasks(database, parts.live),
        *recommendation_jobs.tasks(database, parts.storage),
        *audit_jobs.tasks(
            database,
            Sealer(database, parts.keyring),
            parts.settings.audit_retention_days,
            detectors(parts.settings.suspicions),
        ),
        Task(PURGE_ANSWERS, purge_answers),
    ]
