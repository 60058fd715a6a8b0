"""What is for sale, who ordered and owns what of it, and the ledger."""

from itertools import combinations

import sqlalchemy as sa

from veza.core.db import Id, Time, metadata

# Prices and amounts are whole minor units. Who sold something and who bought it is named without a foreign
# key where that must outlast their accounts.
products = sa.Table(
    "products",
    metadata,
    sa.Column("id", Id, primary_key=True),
    # None once the account is gone.
    sa.Column("seller_id", Id, sa.ForeignKey("users.id", ondelete="SET NULL")),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("price", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("product_type", sa.Text, nullable=False),
    sa.Column("license_type", sa.Text, nullable=False),
    # `closed` is what was active when its seller was suspended, and is again when that is over.
    sa.Column("status", sa.Text, nullable=False),
    # Since when somebody who moderates keeps it off sale, whatever its seller wants.
    sa.Column("taken_down_at", Time),
    # Of a product that is one track.
    sa.Column("track_id", Id),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time, nullable=False),
    # A list is one of these, read from either end. What else may be asked for stands behind the id: so that
    # a range of prices in another order is looked for in the index alone.
    *(
        sa.Index(
            "_".join(("ix_products_active", *by, sort)),
            *(*by, sort, "id", other),
            sqlite_where=sa.text("status = 'active'"),
            postgresql_where=sa.text("status = 'active'"),
        )
        for count in range(3)
        for by in combinations(("seller_id", "product_type"), count)
        for sort, other in (("created_at", "price"), ("price", "created_at"))
    ),
    # What sellers see of their own.
    sa.Index("ix_products_seller_id_created_at", "seller_id", "created_at", "id"),
    sa.Index("ix_products_seller_id_status_created_at", "seller_id", "status", "created_at", "id"),
)

# The files that a product is of, from the day it was made: what is bought is what was offered.
product_files = sa.Table(
    "product_files",
    metadata,
    sa.Column("product_id", Id, sa.ForeignKey("products.id", ondelete="CASCADE"), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    # One of the two; either may be gone by now.
    sa.Column("track_id", Id),
    sa.Column("upload_id", Id),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("filename", sa.Text, nullable=False),
    sa.Column("mime", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("product_id", "position"),
    sa.Index("ix_product_files_track_id", "track_id"),
    sa.Index("ix_product_files_upload_id", "upload_id"),
    sa.Index("ix_product_files_key", "key"),
)

# The words of titles, by which active products are found.
product_words = sa.Table(
    "product_words",
    metadata,
    sa.Column("word", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
    sa.Column("product_id", Id, sa.ForeignKey("products.id", ondelete="CASCADE"), nullable=False),
    sa.PrimaryKeyConstraint("word", "product_id"),
    sa.Index("ix_product_words_product_id", "product_id"),
    sqlite_with_rowid=False,
)

orders = sa.Table(
    "orders",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("buyer_id", Id, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    # Who is to see to the payment, what they call it, and where the buyer pays.
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("payment_ref", sa.Text, nullable=False),
    sa.Column("payment_url", sa.Text),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("completed_at", Time),
    sa.Index("ix_orders_buyer_id_created_at", "buyer_id", "created_at", "id"),
    sa.Index("ix_orders_provider_payment_ref", "provider", "payment_ref"),
    sa.Index(
        "ix_orders_pending",
        "id",
        sqlite_where=sa.text("status = 'pending'"),
        postgresql_where=sa.text("status = 'pending'"),
    ),
)

order_items = sa.Table(
    "order_items",
    metadata,
    sa.Column("order_id", Id, sa.ForeignKey("orders.id", ondelete="CASCADE"), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("product_id", Id, nullable=False),
    sa.Column("seller_id", Id, nullable=False),
    # As they were at that moment.
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("product_type", sa.Text, nullable=False),
    sa.Column("license_type", sa.Text, nullable=False),
    sa.Column("price", sa.BigInteger, nullable=False),
    # What of the price is the platform's.
    sa.Column("fee", sa.BigInteger, nullable=False),
    # None until it is paid for.
    sa.Column("sold_at", Time),
    sa.Column("refunded_at", Time),
    # Of a service: how far its delivery is, and when it counts as accepted if nobody says anything.
    sa.Column("delivery", sa.Text),
    sa.Column("due_at", Time),
    sa.PrimaryKeyConstraint("order_id", "position"),
    sa.Index("ix_order_items_seller_id_sold_at", "seller_id", "sold_at", "order_id"),
    sa.Index("ix_order_items_product_id", "product_id"),
    sa.Index(
        "ix_order_items_services",
        *("seller_id", "delivery", "sold_at", "order_id", "position"),
        sqlite_where=sa.text("delivery IS NOT NULL AND sold_at IS NOT NULL"),
        postgresql_where=sa.text("delivery IS NOT NULL AND sold_at IS NOT NULL"),
    ),
    sa.Index(
        "ix_order_items_due_at",
        *("due_at", "order_id", "position"),
        sqlite_where=sa.text("delivery = 'delivered'"),
        postgresql_where=sa.text("delivery = 'delivered'"),
    ),
)

# What was handed over for a service that was ordered, each time with what its buyer wanted changed.
deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("order_id", Id, sa.ForeignKey("orders.id", ondelete="CASCADE"), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    # The upload may be gone by now; its file stays.
    sa.Column("upload_id", Id),
    sa.Column("key", sa.Text),
    sa.Column("filename", sa.Text),
    sa.Column("mime", sa.Text),
    sa.Column("size", sa.BigInteger),
    sa.Column("delivered_at", Time, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("returned_at", Time),
    sa.PrimaryKeyConstraint("order_id", "position", "number"),
    sa.Index("ix_deliveries_key", "key"),
)

# What somebody has bought and not given back.
licences = sa.Table(
    "licences",
    metadata,
    sa.Column("buyer_id", Id, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("product_id", Id, sa.ForeignKey("products.id"), nullable=False),
    sa.Column("order_id", Id, nullable=False),
    sa.Column("license_type", sa.Text, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    # Since when its payment is disputed; meanwhile it opens nothing.
    sa.Column("frozen_at", Time),
    # A service may be bought again once it is accepted; all else once.
    sa.Column("repeatable", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.PrimaryKeyConstraint("buyer_id", "product_id", "order_id"),
    sa.Index(
        "uq_licences_buyer_id_product_id",
        "buyer_id",
        "product_id",
        unique=True,
        sqlite_where=sa.text("NOT repeatable"),
        postgresql_where=sa.text("NOT repeatable"),
    ),
    sa.Index("ix_licences_product_id", "product_id"),
    sa.Index("ix_licences_order_id", "order_id"),
)

# What was made for a buyer of a file that they bought, in the format that they chose.
copies = sa.Table(
    "copies",
    metadata,
    sa.Column("order_id", Id, nullable=False),
    sa.Column("product_id", Id, nullable=False),
    # Of the product's files.
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("format", sa.Text, nullable=False),
    # The digest of all that it was made by; with another it would be another copy.
    sa.Column("mark", sa.Text, nullable=False),
    # None of one that could not be made.
    sa.Column("key", sa.Text),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("used_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("order_id", "product_id", "position", "format"),
    sa.Index("ix_copies_used_at", "used_at"),
    sa.Index("ix_copies_key", "key"),
)

# What sellers asked to be paid, and what became of it.
payouts = sa.Table(
    "payouts",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("seller_id", Id, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    # Whoever settled it says how, or why not.
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("settled_at", Time),
    sa.Index("ix_payouts_seller_id_created_at", "seller_id", "created_at", "id"),
    sa.Index("ix_payouts_status_created_at", "status", "created_at", "id"),
)

# Every amount twice: what one account gains another gives. Rows are added, and never changed.
ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("id", Id, primary_key=True),
    # The order, or the payout, that it is about.
    sa.Column("order_id", Id, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    # `seller`, `held` or `payouts`, whose id `owner_id` then is, or one of those that `ledger.py` names.
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("owner_id", Id),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.UniqueConstraint("order_id", "position", "kind", "account"),
    sa.Index("ix_ledger_owner_id_created_at", "owner_id", "created_at", "id"),
    sa.Index("ix_ledger_owner_id_account", "owner_id", "account", "currency", "amount"),
)

# What was paid, as a provider that moves money says: once an order is here, it is decided what becomes of it.
charges = sa.Table(
    "charges",
    metadata,
    sa.Column("order_id", Id, sa.ForeignKey("orders.id", ondelete="CASCADE"), primary_key=True),
    # What the provider calls the payment, and the movement of money within it.
    sa.Column("intent", sa.Text, nullable=False),
    sa.Column("charge", sa.Text, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    # What has gone back to the buyer, and no line was refunded for it: the platform bears it.
    sa.Column("conceded", sa.BigInteger, nullable=False),
    # What was to go back, and the provider would not send.
    sa.Column("owed", sa.BigInteger, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.UniqueConstraint("intent"),
)

disputes = sa.Table(
    "disputes",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("order_id", Id, sa.ForeignKey("orders.id", ondelete="CASCADE"), nullable=False),
    # What the bank holds of what had not gone back anyway.
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("fee", sa.BigInteger, nullable=False),
    sa.Column("fee_currency", sa.Text, nullable=False),
    # `open`, `won` by the platform, or `lost`.
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Index("ix_disputes_order_id", "order_id"),
)

# Refunds that the buyer's bank sent back, as a provider says; each counts once.
failed_refunds = sa.Table(
    "failed_refunds",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("order_id", Id, sa.ForeignKey("orders.id", ondelete="CASCADE"), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Index("ix_failed_refunds_order_id", "order_id"),
)

# Where a provider pays sellers.
seller_accounts = sa.Table(
    "seller_accounts",
    metadata,
    sa.Column("user_id", Id, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("ready", sa.Boolean, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time, nullable=False),
    sa.UniqueConstraint("account"),
)

# A seller's share of an order, handed over by a provider: once, in one piece.
seller_shares = sa.Table(
    "seller_shares",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("order_id", Id, sa.ForeignKey("orders.id", ondelete="CASCADE"), nullable=False),
    sa.Column("seller_id", Id, nullable=False),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("taken_back", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    # `begun` and booked, `done`, or `failed` and booked back.
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("reference", sa.Text),
    sa.Column("created_at", Time, nullable=False),
    sa.UniqueConstraint("order_id", "seller_id"),
    sa.Index("ix_seller_shares_seller_id", "seller_id"),
    sa.Index(
        "ix_seller_shares_begun",
        "order_id",
        sqlite_where=sa.text("state = 'begun'"),
        postgresql_where=sa.text("state = 'begun'"),
    ),
)

# The notices of providers that have been dealt with.
provider_notices = sa.Table(
    "provider_notices",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Index("ix_provider_notices_created_at", "created_at"),
)
